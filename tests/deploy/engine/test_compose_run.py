"""A whole deployment on a real engine, from building its images to leaving nothing behind.

The tests are the steps of one run and build on each other, in this order.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.deploy_tools import ROOT
from tests.support.engine_project import BASE_IMAGE, PROJECT, Engine, eventually

pytestmark = pytest.mark.timeout(900)

LIMIT_BYTES = {"master": 350_000_000, "worker": 350_000_000, "prepare": 500_000_000}
OFFICIAL_SLIM_BYTES = 130_010_000
"""python:3.11-slim-bookworm as its publishers list it; the one on trixie has five million less."""

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


@pytest.mark.parametrize("service", ["master", "worker", "prepare"])
def test_images_are_small_and_unprivileged(project: Engine, service: str) -> None:
    """On the stand-in, and on the official base with what our layers add to it."""
    image = inspect(project, f"erasurehead-{service}:local")
    ours = image["Size"] - inspect(project, BASE_IMAGE)["Size"]
    assert image["Size"] < LIMIT_BYTES[service]
    assert ours + OFFICIAL_SLIM_BYTES < LIMIT_BYTES[service]
    config = image["Config"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"] == ["erasurehead", service]
    assert config["Healthcheck"]["Test"][0] == ("NONE" if service == "prepare" else "CMD")
    unwanted = ["pytest", "ruff", "hatchling", "matplotlib"]
    unwanted += [] if service == "prepare" else ["pandas", "sklearn", "pyarrow"]
    look = f"import importlib.util as u, shutil; print([m for m in {unwanted} if u.find_spec(m)],"
    look += " shutil.which('gcc'))"
    said = project.docker("run", "--rm", "--entrypoint", "python", image["Id"], "-c", look)
    assert said.strip() == "[] None"


@pytest.mark.parametrize(
    ("preset", "options", "rows"),
    [
        ("csv", "--from /files/table.csv --option target=late", 320),
        ("svmlight", "--from /files/rows.svm", 320),
        ("synthetic", "--option rows=1000", 800),
    ],
)
def test_any_preset_is_prepared_by_variables(
    project: Engine, tmp_path: Path, preset: str, options: str, rows: int
) -> None:
    """Flights are what the run below trains on."""
    values = [(i % 7, "abc"[i % 3], 1 if i % 5 < 2 else -1) for i in range(400)]
    table = "".join(f"{n},{text},{late}\n" for n, text, late in values)
    (tmp_path / "table.csv").write_text(f"number,text,late\n{table}", encoding="utf-8")
    (tmp_path / "rows.svm").write_text(
        "".join(f"{late} 1:{n} {2 + 'abc'.index(text)}:1\n" for n, text, late in values),
        encoding="utf-8",
    )
    # Pytest keeps its directories to itself, and the container's user is somebody else.
    files = Path(shutil.copytree(tmp_path, f"/tmp/erasurehead-files-{os.getpid()}"))
    files.chmod(0o755)
    try:
        chosen = project.variant(PRESET=preset, PREPARE_OPTIONS=options, FILES=str(files))
        said = chosen.compose("run", "--rm", "prepare")
    finally:
        shutil.rmtree(files)
    assert f"{rows} training rows" in said


def test_downloads_fail_for_want_of_a_network_only(project: Engine) -> None:
    """What the image leaves out of scikit-learn is not missed on the way to the network."""
    presets = ("covertype", "kc-housing")
    attempt = (
        "import subprocess, sys\n"
        "command = ['erasurehead', 'prepare', '--download', '--out']\n"
        "ran = [subprocess.Popen([*command, f'/tmp/{name}', name], stderr=-1, text=True)"
        " for name in sys.argv[1:]]\n"
        "print(*(p.communicate()[1].strip().splitlines()[-1] for p in ran), sep='\\n')"
    )
    said = project.docker(
        "run", "--rm", "--network", "none", "--entrypoint", "python",
        "erasurehead-prepare:local", "-c", attempt, *presets,
    )  # fmt: skip
    assert [("URLError" in line) for line in said.splitlines()] == [True] * len(presets), said


def test_the_run_starts_by_itself(project: Engine) -> None:
    eventually(lambda: (project.value(ROUND) or 0) >= 20, 120, "twenty rounds")
    eventually(lambda: project.value(READY) == 6, 60, "six ready slots")
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
        variables = [v for v in board["templating"]["list"] if v["type"] == "query"]
        everything = {v["name"]: v["allValue"] for v in variables}
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

    # A master that has come to rest at the minimum sees no gap that it could tell, and nobody is
    # late for long, or gone, in a run that goes well.
    absent = ("erasurehead_estimated_gap", "erasurehead_worker_chronic", "erasurehead_worker_gone")
    there = [(w, text) for w, text in expressions() if not any(name in text for name in absent)]
    assert len(there) == len(expressions()) - len(absent)

    def empty() -> list[str]:
        return [where for where, text in there if not numbers(project, text)]

    eventually(lambda: not empty(), 60, lambda: f"series for {empty()}")


def test_every_alert_has_series(project: Engine) -> None:
    # What says how the run ended is not there while it goes on.
    wanted = [(a, text) for a, text in operands() if text != "erasurehead_exit_code"]
    assert len(wanted) > 12

    def empty() -> list[tuple[str, str]]:
        return [(a, text) for a, text in wanted if not numbers(project, text)]

    eventually(lambda: not empty(), 60, lambda: f"series for {empty()}")
    assert project.query('ALERTS{alertstate="firing"}') == []


def below(project: Engine, expression: str, limit: float) -> bool:
    value = project.value(expression)
    return value is not None and value < limit


def numbers(project: Engine, expression: str) -> list[float]:
    return [v for _, v in project.query(expression) if not math.isnan(v)]


def test_two_killed_workers_are_erasures_and_the_run_goes_on(project: Engine) -> None:
    """1. Slots 0 and 1, one group of the code, are killed. 2. A third of the tasks is erased each
    round. 3. Rounds go on, and the slots' series are gone. 4. Started again they are back.
    """
    eventually(lambda: below(project, ERASURES, 0.25), 60, "few erasures")
    killed = [project.container_in_slot(slot) for slot in (0, 1)]
    project.docker("kill", *killed)
    eventually(lambda: project.value(READY) == 4, 60, "the slots to be free")
    eventually(lambda: (project.value(ERASURES) or 0) > 0.3, 60, "more erasures")
    reached = project.value(ROUND) or 0
    eventually(lambda: (project.value(ROUND) or 0) > reached + 5, 60, "further rounds")
    # It is as of the rule's last evaluation.
    eventually(lambda: project.value("erasurehead:empty_slots") == 2, 60, "two empty slots")
    for slot in (0, 1):
        assert project.query(f'erasurehead_straggler_probability{{worker="{slot}"}}') == []
    project.docker("start", *killed)
    eventually(lambda: project.value(READY) == 6, 60, "both to be back")
    placements = project.value('erasurehead_worker_placements_total{worker="0"}')
    assert placements is not None
    assert placements >= 2
    eventually(lambda: below(project, ERASURES, 0.25), 60, "fewer erasures")


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
    eventually(lambda: project.value(READY) == 6, 60, "six ready slots")
    eventually(
        lambda: len(project.query('up{job="erasurehead-worker"} == 1')) == 8, 60, "eight targets"
    )


def test_a_throttled_worker_becomes_a_likely_straggler(project: Engine) -> None:
    slot = 5
    probability = f'erasurehead_straggler_probability{{worker="{slot}"}}'
    throttled = f'rate(erasurehead_worker_cpu_throttled_seconds_total{{worker="{slot}"}}[20s])'
    eventually(lambda: below(project, probability, 0.7), 60, "it is one of many")
    project.docker("update", "--cpus", "0.01", project.container_in_slot(slot))
    eventually(lambda: (project.value(probability) or 0) > 0.85, 120, "a likely straggler")
    eventually(lambda: (project.value(throttled) or 0) > 0.1, 60, "throttled seconds")

    def others() -> list[float]:
        found = project.query("erasurehead_straggler_probability")
        return [value for labels, value in found if labels["worker"] != str(slot)]

    alone = f"slot {slot} alone is a likely straggler"
    eventually(lambda: max(others(), default=1.0) < 0.85, 60, lambda: f"{alone}: {others()}")


def test_chaos_does_not_stop_the_run_and_is_healed(project: Engine) -> None:
    """Also when all workers are starved of processor time."""
    reached = project.value(ROUND) or 0
    workers = project.containers("worker")
    project.docker("update", "--cpus", "0.01", *workers)
    said = project.chaos(ROUNDS="3", EVERY_S="1", LASTS_S="3", WORKER_CPUS="0.3")
    project.docker("update", "--cpus", "0.3", *workers)
    assert [line.split()[1] for line in said.splitlines()] == ["freezes", "kills", "throttles"]
    assert sorted(project.containers("worker")) == sorted(workers)
    eventually(lambda: (project.value(ROUND) or 0) > reached + 5, 60, "further rounds")
    eventually(lambda: project.value(READY) == 6, 60, "six ready slots")


def test_down_leaves_nothing(project: Engine) -> None:
    services = [*project.containers("master"), *project.containers("worker")]
    project.compose("stop")
    # Everyone ends by itself on SIGTERM; who does not do so in the time of grace is killed: 137.
    ended = project.docker("inspect", "--format", "{{.State.ExitCode}}", *services).split()
    assert ended == ["0"] * len(services)
    project.compose("down", "--volumes", "--remove-orphans")
    label = f"label=com.docker.compose.project={PROJECT}"
    assert project.docker("ps", "--all", "--quiet", "--filter", label) == ""
    for kind in ("volume", "network"):
        assert project.docker(kind, "ls", "--quiet", "--filter", label) == ""


@contextmanager
def running(variant: Engine, *services: str) -> Iterator[Engine]:
    """Bring up a deployment in place of the one before, and take it down."""
    variant.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")
    try:
        variant.compose("up", "--detach", *services)
        yield variant
    finally:
        variant.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


def test_with_keys_the_run_goes_as_well_and_strangers_stay_out(project: Engine) -> None:
    """1. With the overlay rounds are done over encrypted connections. 2. A worker without a key is
    not heard. 3. Neither side can read the other's secret.
    """
    services = ("prepare", "keys", "master", "worker", "prometheus")
    with running(project.variant("docker-compose.keys.yml"), *services) as project:
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
        eventually(lambda: project.value(READY) == 6, 60, "six ready slots")
        spares = project.value('erasurehead_workers{state="spare"}')
        stranger = f"{PROJECT}-stranger"
        project.docker(
            "run", "--detach", "--rm", "--name", stranger,
            "--network", f"{PROJECT}_training", "--env", "ERASUREHEAD_CONNECT=tcp://master:5577",
            "erasurehead-worker:local",
        )  # fmt: skip
        try:
            ask = ("python", "-m", "erasurehead.monitoring.probe", "/healthz")
            eventually(lambda: project.succeeds("exec", stranger, *ask), 60, "it tries to get in")
            reached = project.value(ROUND) or 0
            eventually(lambda: (project.value(ROUND) or 0) > reached + 20, 60, "further rounds")
            assert project.succeeds("exec", stranger, *ask)  # it is still there
            assert project.value('erasurehead_workers{state="spare"}') == spares
            eventually(lambda: project.value(READY) == 6, 60, "six ready slots still")
        finally:
            project.docker("rm", "--force", stranger)


def test_a_pool_with_little_cpu_makes_real_stragglers(project: Engine) -> None:
    """1. Six slots are filled by two pools, told apart by their limits. 2. Every slot of the slow
    pool has the higher straggler probability, throttled seconds, and seconds of computing for each
    result that it sends: of most rounds it computes a part, and gives up.
    """
    overlay = project.variant(
        "docker-compose.heterogeneous.yml", DELAY="none", WORKER_CPUS="1", SLOW_CPUS="0.05"
    )
    services = ("prepare", "master", "worker", "worker-slow", "prometheus")
    with running(overlay, *services) as pools:
        assert len(pools.containers("worker")) == 4
        assert len(pools.containers("worker-slow")) == 2
        # It takes a slow one half a minute to start.
        eventually(lambda: pools.value(READY) == 6, 240, "six ready slots")
        # A worker scraped before it had a slot has an old series beside its own, of worker "none".
        slots = {str(slot) for slot in range(6)}

        def by_slot(expression: str) -> dict[str, float]:
            values = {at["worker"]: value for at, value in pools.query(expression)}
            return {slot: value for slot, value in values.items() if slot in slots}

        limits = "erasurehead_worker_cpu_limit_cores"
        eventually(lambda: len(by_slot(limits)) == 6, 60, "six workers scraped")
        slow = {slot for slot, cores in by_slot(limits).items() if cores < 0.1}
        assert len(slow) == 2

        def apart(expression: str, times: float) -> bool:
            values = by_slot(expression)
            if len(values) < 6 or any(map(math.isnan, values.values())):
                return False
            fastest = max(values[s] for s in slots - slow)
            return min(values[s] for s in slow) > times * fastest

        def readings(expression: str) -> str:
            return f"{expression}: {pools.query(expression)}"

        throttled = "rate(erasurehead_worker_cpu_throttled_seconds_total[30s])"
        computing = (
            "rate(erasurehead_worker_compute_seconds_total[30s]) / on (worker)"
            " rate(erasurehead_worker_results_total[30s])"
        )
        # Where this was written 3 x, without a bound, and 8 x; a busy machine gets a margin.
        for expression, times in (
            ("erasurehead_straggler_probability", 1.3),
            (throttled, 2),
            (computing, 2),
        ):
            eventually(
                partial(apart, expression, times),
                90,
                partial(readings, expression),
            )
        reached = pools.value(ROUND) or 0
        eventually(lambda: (pools.value(ROUND) or 0) > reached + 20, 60, "further rounds")


def test_the_chaos_overlay_freezes_kills_and_throttles(project: Engine) -> None:
    """1. Uncoded, every slot holds a sixth, and a deadline closes rounds: nothing is erased as long
    as nobody is held up. 2. The chaos container says what it does, and the metrics show it: a slot
    is empty, a quota is down, a sixth of the tasks erased. 3. Rounds go on, and all is healed.
    """
    overlay = project.variant(
        "docker-compose.chaos.yml",
        SCHEME="uncoded / first-copy / deadline:after_s=0.5",
        DELAY="exponential:mean_s=0.03",
        CHAOS_EVERY_S="3",
        # Two scrapes and more.
        CHAOS_LASTS_S="15",
        CHAOS_CPUS="0.05",
    )
    with running(overlay, "prepare", "master", "worker", "prometheus") as chaos:
        eventually(lambda: chaos.value(READY) == 6, 120, "six ready slots")
        eventually(lambda: below(chaos, ERASURES, 0.02), 60, "no erasures")
        began = time.monotonic()
        reached = chaos.value(ROUND) or 0
        chaos.compose("up", "--detach", "--no-recreate", "chaos")

        def done() -> bool:
            said = chaos.compose("logs", "--no-log-prefix", "chaos")
            return all(f" {deed} " in said for deed in ("freezes", "kills", "throttles"))

        eventually(done, 120, "frozen, killed and throttled workers")
        quota = "min(min_over_time(erasurehead_worker_cpu_limit_cores[1m]))"
        eventually(lambda: chaos.value(quota) == 0.05, 60, "a quota down")
        chaos.compose("stop", "chaos")
        since = f"[{time.monotonic() - began:.0f}s:1s]"
        assert (chaos.value(f"max_over_time(({ERASURES}){since})") or 0) > 0.1
        assert chaos.value(f"min_over_time({READY}{since})") in (4, 5)
        assert (chaos.value(ROUND) or 0) > reached + 20
        eventually(lambda: chaos.value(READY) == 6, 60, "six ready slots again")
        eventually(lambda: below(chaos, ERASURES, 0.02), 60, "no erasures again")
        limits = "erasurehead_worker_cpu_limit_cores"
        eventually(lambda: [v for _, v in chaos.query(limits)] == [0.3] * 6, 60, "the usual quotas")
