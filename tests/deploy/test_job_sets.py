"""JobSet and Kubeflow Trainer without a cluster: schemas, settings, and what their Jobs do.

No cluster that could run them was at hand. What is known of their controllers stands in
tests/support/trainer_facts.py and tests/support/job_sets.py.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from erasurehead.errors import EXIT_USAGE
from erasurehead.settings.sources import load
from erasurehead.settings.tree import MasterSettings, WorkerSettings
from erasurehead_cli.main import main
from tests.support.deploy_tools import ROOT, Run
from tests.support.job_sets import ANCESTOR, jobs_of, started
from tests.support.manifest_faults import faults
from tests.support.trainer_facts import ClusterTrainingRuntime, JobSet, TrainJob

TRAINER = ROOT / "k8s" / "trainer"
VERSIONS = ("1.31", "1.37")
"""The oldest that Kubeflow Trainer runs on, and the newest that the checker knows."""

RUN, TEAM = "flights-x7k2p", "team"
"""What the server calls a run, and the namespace that it is created in."""


def read(name: str) -> Any:
    return yaml.safe_load((TRAINER / name).read_text(encoding="utf-8"))


def runtime() -> Any:
    return read("runtime.yaml")


def trainjob() -> Any:
    return read("trainjob.yaml")


@pytest.fixture(scope="module")
def base_as_set(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JobSet of the base with the component."""
    directory = tmp_path_factory.mktemp("jobset")
    base, component = (
        os.path.relpath(ROOT / "k8s" / part, directory) for part in ("base", "components/jobset")
    )
    text = f"namespace: erasurehead\nresources: [{base}]\ncomponents: [{component}]\n"
    (directory / "kustomization.yaml").write_text(text, encoding="utf-8")
    done = run("kubectl", "kustomize", directory)
    assert done.returncode == 0, done.stderr
    objects = list(yaml.safe_load_all(done.stdout))
    assert {o["kind"] for o in objects} & {"StatefulSet", "PodDisruptionBudget"} == set()
    [found] = [o for o in objects if o["kind"] == "JobSet"]
    return dict(found)


@pytest.fixture
def sets(base_as_set: dict[str, Any]) -> list[dict[str, Any]]:
    """That one, and the one that the Trainer's controller makes."""
    return [base_as_set, started(runtime(), trainjob(), RUN, TEAM)]


def test_what_we_write_keeps_the_schemas_of_others(sets: list[dict[str, Any]]) -> None:
    ClusterTrainingRuntime.model_validate(runtime())
    TrainJob.model_validate(trainjob())
    for each in sets:
        JobSet.model_validate(each).spec.check_names(each["metadata"]["name"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metadata", "namespace"), "a"),
        (("spec", "mlPolicy", "torch"), {}),
        (("spec", "mlPolicy", "numNodes"), "7"),
        (("spec", "template", "spec", "replicatedJobs", 0, "name"), "other"),
        (("spec", "template", "spec", "replicatedJobs", 1, "replicas"), 2),
        (("spec", "template", "spec", "replicatedJobs", 1, "dependsOn", 0, "status"), "Done"),
        (("spec", "template", "spec", "replicatedJobs", 1, "template", "metadata"), {}),
        (("spec", "template", "spec", "successPolicy"), {"operator": "Some"}),
    ],
)
def test_the_facts_can_fail(path: tuple[Any, ...], value: object) -> None:
    altered = place = runtime()
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        ClusterTrainingRuntime.model_validate(altered)


@pytest.mark.parametrize("version", VERSIONS)
def test_their_jobs_keep_kubernetes_schemas(
    sets: list[dict[str, Any]], run: Run, tmp_path: Path, version: str
) -> None:
    path = tmp_path / "jobs.yaml"
    jobs = [job for each in sets for job in jobs_of(each)]
    path.write_text(yaml.safe_dump_all([*jobs, read("claim.yaml")]), encoding="utf-8")
    done = run("kubernetes-validate", "-k", version, "--strict", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stdout + done.stderr


def test_the_policy_scan_finds_nothing_in_their_jobs(
    sets: list[dict[str, Any]], run: Run, tmp_path: Path
) -> None:
    jobs = [job for each in sets for job in jobs_of(each)]
    (tmp_path / "jobs.yaml").write_text(yaml.safe_dump_all(jobs), encoding="utf-8")
    done = run(
        "trivy", "config", "--skip-check-update", "--quiet", "--exit-code", "1",
        "--ignorefile", "k8s/.trivyignore.yaml", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_a_server_would_take_the_trainers_jobs() -> None:
    """Each has the default ServiceAccount of its namespace, and the claim that is made once."""
    jobs = jobs_of(started(runtime(), trainjob(), RUN, TEAM))
    for job in jobs:
        job["spec"]["template"]["spec"].setdefault("serviceAccountName", "default")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    assert faults([*jobs, account, read("claim.yaml")]) == []
    for job in jobs:
        for container in job["spec"]["template"]["spec"]["containers"]:
            assert re.fullmatch(r"erasurehead-\w+:\d+\.\d+\.\d+", container["image"])


def test_a_run_is_started_by_the_ten_lines_of_the_page() -> None:
    lines = (TRAINER / "trainjob.yaml").read_text(encoding="utf-8").splitlines()
    said = [line for line in lines if not line.startswith("#")]
    assert len(said) <= 10
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    assert "```yaml\n" + "\n".join(said) + "\n```" in page
    for thing in (runtime()["spec"]["mlPolicy"], trainjob()["spec"]["trainer"]):
        assert thing["numNodes"] == 7
    for args in (trainjob()["spec"]["trainer"]["args"], node()["args"]):
        assert args[args.index("--workers") + 1] == "6", "and the master"


def node() -> dict[str, Any]:
    """The container of the master and the workers, as the runtime has it."""
    jobs = runtime()["spec"]["template"]["spec"]["replicatedJobs"]
    [job] = [
        job for job in jobs if ANCESTOR in job["template"].get("metadata", {}).get("labels", {})
    ]
    [container] = job["template"]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def told() -> dict[str, str]:
    """The variables of a pod of the run, as the kubelet writes them out."""
    plain = {e["name"]: e["value"] for e in node()["env"] if "value" in e}
    return {name: value.replace("$(TRAINJOB)", RUN) for name, value in plain.items()}


@pytest.mark.parametrize(
    ("index", "starts"),
    [
        (0, "master /workspace/flights --workers 6"),
        (1, "worker --name node-1 --slot 0"),
        (12, "worker --name node-12 --slot 11"),
    ],
)
def test_the_first_pod_is_the_master_and_all_others_are_workers(
    index: int, starts: str, run: Run
) -> None:
    shell, flag, script, name = node()["command"]
    script = f"INDEX={index}\n" + script.replace("exec erasurehead", "exec echo")
    done = run(shell.rpartition("/")[2], flag, script, name, *node()["args"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == starts


def test_the_variables_are_settings_of_both() -> None:
    master = load(MasterSettings, {"store": "s"}, environment=told())
    assert master.bind.endswith(":5577")
    assert master.insecure
    assert master.run.resume
    assert str(master.run.out) == f"/workspace/runs/{RUN}"
    worker = load(WorkerSettings, {}, environment=told())
    assert worker.connect == f"tcp://{RUN}-node-0-0.{RUN}:5577"


def test_the_arguments_of_the_trainjob_are_the_masters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are understood up to the store, which is not here."""
    for name, value in (told() | {"ERASUREHEAD_OUT": str(tmp_path / "run")}).items():
        monkeypatch.setenv(name, value)
    assert main(["master", *trainjob()["spec"]["trainer"]["args"]]) == EXIT_USAGE
    assert "/workspace/flights" in capsys.readouterr().err


def test_whoever_is_drained_is_started_again(sets: list[dict[str, Any]]) -> None:
    """It has ended in order, and its Job must neither count it as done nor as wrong."""
    seen = 0
    for job in (job for each in sets for job in jobs_of(each)):
        policy = job["spec"].get("podFailurePolicy", {"rules": []})
        wrong = [c for r in policy["rules"] for c in r.get("onExitCodes", {}).get("values", [])]
        assert wrong == sorted(wrong)
        for container in job["spec"]["template"]["spec"]["containers"]:
            env = {e["name"]: e.get("value") for e in container.get("env", [])}
            if container["name"] != "prepare":
                code = int(env["ERASUREHEAD_UNFINISHED_CODE"])
                assert code > 0
                assert code not in wrong
                seen += 1
    assert seen == 3


def test_the_set_of_the_base_ends_with_its_master(base_as_set: dict[str, Any]) -> None:
    """A master that rests would keep it for ever."""
    assert base_as_set["spec"]["successPolicy"]["targetReplicatedJobs"] == ["master"]
    master, worker = (job["spec"]["template"]["spec"] for job in jobs_of(base_as_set))
    env = {e["name"]: e.get("value") for e in master["containers"][0]["env"]}
    assert env["ERASUREHEAD_HTTP__LINGER"] == "false"
    args = worker["containers"][0]["args"]
    assert args[args.index("--slot") + 1] == "$(INDEX)"
    assert worker["containers"][0]["env"][0]["name"] == "INDEX"
