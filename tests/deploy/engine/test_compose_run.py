"""A whole deployment on a real engine, from building its images to leaving nothing behind.

The tests are the steps of one run and build on each other, in this order.
"""

from __future__ import annotations

import json
import math
import re
import time
from typing import Any

import pytest
import yaml
from deploy_tools import ROOT
from engine_project import BASE_IMAGE, PROJECT, Engine, eventually

pytestmark = pytest.mark.timeout(900)

MEGABYTE = 1 << 20
OFFICIAL_SLIM_BYTES = 130 * MEGABYTE
"""About what the official base has, which the stand-in is not."""

READY = 'erasurehead_workers{state="ready"}'
ROUND = "erasurehead_round"
ERASURES = (
    "sum(rate(erasurehead_round_erasure_ratio_sum[15s]))"
    " / sum(rate(erasurehead_round_erasure_ratio_count[15s]))"
)
BOARDS = sorted((ROOT / "dashboards" / "grafana" / "boards").glob("*.json"))
RULES = ROOT / "dashboards" / "prometheus" / "rules" / "erasurehead.yml"


def inspect(engine: Engine, image: str) -> dict[str, Any]:
    [found] = json.loads(engine.docker("image", "inspect", image))
    return dict(found)


@pytest.mark.parametrize("service", ["master", "worker"])
def test_images_are_small_and_unprivileged(project: Engine, service: str) -> None:
    image = inspect(project, f"erasurehead-{service}:local")
    ours = image["Size"] - inspect(project, BASE_IMAGE)["Size"]
    assert ours + OFFICIAL_SLIM_BYTES < 350 * MEGABYTE
    config = image["Config"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"] == ["erasurehead", service]
    assert config["Healthcheck"]["Test"][0] == "CMD"
    look = "import importlib.util as u, shutil; print([m for m in ('pytest', 'ruff', 'hatchling',"
    look += " 'pandas', 'matplotlib') if u.find_spec(m)], shutil.which('gcc'))"
    said = project.docker("run", "--rm", "--entrypoint", "python", image["Id"], "-c", look)
    assert said.strip() == "[] None"


def test_the_run_starts_by_itself(project: Engine) -> None:
    eventually(lambda: (project.value(ROUND) or 0) >= 20, 120, "twenty rounds")
    assert project.value(READY) == 6
    up = 'up{job=~"erasurehead-.*"} == 1'
    eventually(lambda: len(project.query(up)) == 7, 60, "master and workers scraped")


def test_health_checks_agree(project: Engine) -> None:
    def healthy() -> bool:
        ids = [*project.containers("master"), *project.containers("worker")]
        states = project.docker("inspect", "--format", "{{.State.Health.Status}}", *ids).split()
        return states == ["healthy"] * 7

    eventually(healthy, 60, "all containers healthy")


def test_root_file_systems_are_read_only(project: Engine) -> None:
    for service in ("master", "worker"):
        container = project.containers(service)[0]
        write = "import errno\ntry: open('/opt/x', 'w')\nexcept OSError as e: print(e.errno)"
        said = project.docker("exec", container, "python", "-c", write)
        assert said.strip() in ("13", "30")
        assert project.docker("exec", container, "id", "-u").strip() == "10001"


def expressions() -> list[tuple[str, str]]:
    """Return (where, PromQL) of every panel, with the variables as Grafana resolves them."""
    found = []
    for path in BOARDS:
        board = json.loads(path.read_text(encoding="utf-8"))
        everything = {v["name"]: v["allValue"] for v in board["templating"]["list"]}
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                text = target["expr"].replace("$__rate_interval", "20s")
                # In a repeated row the variable has one value.
                text = text.replace('worker="$slot"', 'worker="0"')
                for name, value in everything.items():
                    text = text.replace(f"${name}", value)
                assert "$" not in text, text
                found.append((f"{path.stem}: {panel['title']}", text))
    return found


def operands() -> list[tuple[str, str]]:
    """Return (alert, vector) of what every alert and recording rule compares."""
    [group] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    found = []
    for rule in group["rules"]:
        expression = re.sub(r"\((min_over_time.*?\)) > 0\)", r"\1", rule["expr"])
        for part in re.split(r" (?:==|!=|>=|<=|>|<|and on \(\w+\)|or) ", expression):
            part = part.strip()
            if "alert" in rule and re.fullmatch(r"[\d.]+", part):
                continue
            part = (
                re.sub(r"^[\d.]+ \* ", "", part).replace("[15m]", "[20s]").replace("[5m]", "[20s]")
            )
            found.append((rule.get("alert") or rule["record"], part))
    return found


def test_every_panel_has_series(project: Engine) -> None:
    """Every query of every dashboard returns at least one number from the live run."""
    eventually(
        lambda: (
            project.query("erasurehead_checkpoint_age_seconds")
            and (project.value("erasurehead_compared_rounds_seconds_total") or 0) > 0
        ),
        60,
        "a first checkpoint and rounds to compare",
    )

    def empty() -> list[str]:
        return [where for where, text in expressions() if not numbers(project, text)]

    eventually(lambda: not empty(), 60, lambda: f"series for {empty()}")


def test_every_alert_has_series(project: Engine) -> None:
    # What says how the run ended is not there while it goes on.
    wanted = [(a, text) for a, text in operands() if text != "erasurehead_exit_code"]
    assert len(wanted) > 12

    def empty() -> list[tuple[str, str]]:
        return [(a, text) for a, text in wanted if not numbers(project, text)]

    eventually(lambda: not empty(), 60, lambda: f"series for {empty()}")
    assert project.query('ALERTS{alertstate="firing"}') == []


def numbers(project: Engine, expression: str) -> list[float]:
    return [v for _, v in project.query(expression) if not math.isnan(v)]


def test_two_killed_workers_are_erasures_and_the_run_goes_on(project: Engine) -> None:
    """1. Slots 0 and 1, one group of the code, are killed. 2. A third of the tasks is erased each
    round. 3. Rounds go on, and the slots' series are gone. 4. Started again they are back.
    """
    before = project.value(ERASURES)
    assert before is not None
    assert before < 0.25
    killed = [project.container_in_slot(slot) for slot in (0, 1)]
    project.docker("kill", *killed)
    eventually(lambda: project.value(READY) == 4, 60, "the slots to be free")
    eventually(lambda: (project.value(ERASURES) or 0) > 0.3, 60, "more erasures")
    reached = project.value(ROUND) or 0
    eventually(lambda: (project.value(ROUND) or 0) > reached + 5, 60, "further rounds")
    assert project.value("erasurehead:empty_slots") in (0, 2)  # as of the rule's last evaluation
    for slot in (0, 1):
        assert project.query(f'erasurehead_straggler_probability{{worker="{slot}"}}') == []
    project.docker("start", *killed)
    eventually(lambda: project.value(READY) == 6, 60, "both to be back")
    placements = project.value('erasurehead_worker_placements_total{worker="0"}')
    assert placements is not None
    assert placements >= 2
    eventually(lambda: (project.value(ERASURES) or 1) < 0.25, 60, "fewer erasures")


def records(project: Engine) -> list[int]:
    """Return the rounds in rounds.jsonl, read in the master's container."""
    read = "import json; print(*(json.loads(x)['round'] for x in open('/runs/test/rounds.jsonl')))"
    container = project.containers("master")[0]
    return [int(x) for x in project.docker("exec", container, "python", "-c", read).split()]


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_restarted_master_resumes(project: Engine, how: str) -> None:
    """After SIGTERM nothing is repeated, after SIGKILL only what came after the last checkpoint."""
    run = project.query("erasurehead_model_info")[0][0]["run"]
    reached = records(project)[-1]
    if how == "restart":
        project.compose("restart", "master")
    else:
        [container] = project.containers("master")
        project.docker("kill", container)
        project.docker("start", container)
    eventually(lambda: (project.value(ROUND) or 0) > reached + 5, 90, "rounds after the restart")
    rounds = records(project)
    assert rounds == list(range(1, rounds[-1] + 1)), "every round is recorded once"
    eventually(lambda: project.value(READY) == 6, 60, "all workers to be back")
    assert project.query("erasurehead_model_info")[0][0]["run"] == run


def test_more_workers_than_slots_are_spares(project: Engine) -> None:
    project.compose("up", "--detach", "--no-recreate", "--scale", "worker=8", "worker")
    eventually(lambda: project.value('erasurehead_workers{state="spare"}') == 2, 90, "two spares")
    assert project.value(READY) == 6
    eventually(
        lambda: len(project.query('up{job="erasurehead-worker"} == 1')) == 8, 60, "eight targets"
    )


def test_a_throttled_worker_becomes_a_likely_straggler(project: Engine) -> None:
    slot = 5
    probability = f'erasurehead_straggler_probability{{worker="{slot}"}}'
    throttled = f'rate(erasurehead_worker_cpu_throttled_seconds_total{{worker="{slot}"}}[20s])'
    before = project.value(probability)
    assert before is not None
    assert before < 0.7
    project.docker("update", "--cpus", "0.01", project.container_in_slot(slot))
    eventually(lambda: (project.value(probability) or 0) > 0.85, 120, "a likely straggler")
    eventually(lambda: (project.value(throttled) or 0) > 0.1, 60, "throttled seconds")
    others = [v for labels, v in project.query("erasurehead_straggler_probability")
              if labels["worker"] != str(slot)]  # fmt: skip
    assert max(others) < 0.85


def test_chaos_does_not_stop_the_run_and_is_healed(project: Engine) -> None:
    reached = project.value(ROUND) or 0
    said = project.chaos(ROUNDS="3", EVERY_S="1", LASTS_S="3", WORKER_CPUS="0.3")
    assert [line.split()[1] for line in said.splitlines()] == ["freezes", "kills", "throttles"]
    assert len(project.containers("worker")) == 8
    eventually(lambda: (project.value(ROUND) or 0) > reached + 5, 60, "further rounds")
    eventually(lambda: project.value(READY) == 6, 60, "six ready slots")


def test_down_leaves_nothing(project: Engine) -> None:
    began = time.monotonic()
    project.compose("down", "--volumes", "--remove-orphans")
    # Everyone ends by itself on SIGTERM, long before the grace time.
    assert time.monotonic() - began < 60
    label = f"label=com.docker.compose.project={PROJECT}"
    assert project.docker("ps", "--all", "--quiet", "--filter", label) == ""
    for kind in ("volume", "network"):
        assert project.docker(kind, "ls", "--quiet", "--filter", label) == ""


def test_with_keys_the_run_goes_as_well_and_strangers_stay_out(project: Engine) -> None:
    """1. With the overlay rounds are done over encrypted connections. 2. A worker without a key is
    not heard. 3. Neither side can read the other's secret.
    """
    project.compose("down", "--volumes", "--remove-orphans")  # where this test runs by itself
    overlay = ("--file", "docker-compose.keys.yml")
    services = ("prepare", "keys", "master", "worker", "prometheus")
    project.compose(*overlay, "up", "--detach", "--scale", "worker=6", *services)
    try:
        eventually(lambda: (project.value(ROUND) or 0) >= 5, 120, "five rounds")
        [master] = project.containers("master")
        look = (
            "from pathlib import Path; print(*sorted(p.name for p in Path('/keys').rglob('*.*')))"
        )
        listed = project.docker("exec", master, "python", "-c", look).split()
        assert listed == ["master.key", "master.pub", "worker.pub"]
        worker = project.containers("worker")[0]
        listed = project.docker("exec", worker, "python", "-c", look).split()
        assert listed == ["master.pub", "worker.key", "worker.pub"]
        spares = project.value('erasurehead_workers{state="spare"}')
        project.docker(
            "run", "--detach", "--rm", "--name", f"{PROJECT}-stranger",
            "--network", f"{PROJECT}_training", "--env", "ERASUREHEAD_CONNECT=tcp://master:5577",
            "erasurehead-worker:local",
        )  # fmt: skip
        try:
            reached = project.value(ROUND) or 0
            eventually(lambda: (project.value(ROUND) or 0) > reached + 20, 60, "further rounds")
            ask = ("python", "-m", "erasurehead.monitoring.probe", "/healthz")
            project.docker("exec", f"{PROJECT}-stranger", *ask)  # it is there and tries
            assert project.value('erasurehead_workers{state="spare"}') == spares
            assert project.value(READY) == 6
        finally:
            project.docker("rm", "--force", f"{PROJECT}-stranger")
    finally:
        project.compose(*overlay, "down", "--volumes", "--remove-orphans")
