"""The Kubernetes manifests without a cluster: every overlay builds, validates and is confined."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead.settings.sources import load
from erasurehead.settings.tree import MasterSettings, WorkerSettings
from tests.support.deploy_tools import ROOT, Run
from tests.support.job_sets import jobs_of
from tests.support.manifest_faults import faults

OVERLAYS = sorted(p.parent for p in (ROOT / "k8s" / "overlays").glob("*/kustomization.yaml"))
COMPONENTS = sorted(p.parent for p in (ROOT / "k8s" / "components").glob("*/kustomization.yaml"))
VERSIONS = ("1.25", "1.37")
COMPONENT = "app.kubernetes.io/component"
CUSTOM = ("JobSet", "PodMonitor", "PrometheusRule")
"""Kinds of others, whose schemas are not Kubernetes' own (tests/deploy/test_job_sets.py)."""


@pytest.fixture(scope="module", params=[*OVERLAYS, *COMPONENTS], ids=lambda p: p.name)
def built(
    request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Build an overlay, or the base with one component, into one file."""
    directory = tmp_path_factory.mktemp(request.param.name)
    source = request.param
    if source in COMPONENTS:
        # kustomize wants paths relative to where it is called for.
        base = os.path.relpath(ROOT / "k8s" / "base", directory)
        component = os.path.relpath(source, directory)
        text = f"namespace: erasurehead\nresources: [{base}]\ncomponents: [{component}]\n"
        (directory / "kustomization.yaml").write_text(text, encoding="utf-8")
        source = directory
    done = run("kubectl", "kustomize", source)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    path = directory / "all.yaml"
    path.write_text(done.stdout, encoding="utf-8")
    return path


@pytest.fixture
def objects(built: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(built.read_text(encoding="utf-8")))


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas_are_kept_strictly(
    built: Path, objects: list[dict[str, Any]], run: Run, tmp_path: Path, version: str
) -> None:
    own = [o for o in objects if o["kind"] not in CUSTOM]
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump_all(own), encoding="utf-8")
    done = run("kubernetes-validate", "-k", version, "--strict", path)
    assert done.returncode == 0, done.stdout + done.stderr
    # A kind of no known version is let pass with a warning.
    assert "WARN" not in done.stdout + done.stderr


def test_the_policy_scan_finds_nothing(built: Path, run: Run) -> None:
    done = run(
        "trivy", "config", "--skip-check-update", "--quiet", "--exit-code", "1",
        "--ignorefile", "k8s/.trivyignore.yaml", built.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def of_kind(objects: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [o for o in objects if o["kind"] in kinds]


def makers(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what makes pods, and for a JobSet its Jobs."""
    jobs = [job for thing in of_kind(objects, "JobSet") for job in jobs_of(thing)]
    return [*of_kind(objects, "StatefulSet", "Deployment", "Job"), *jobs]


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return pod specs by the name of what makes them."""
    return {m["metadata"]["name"]: m["spec"]["template"]["spec"] for m in makers(objects)}


def test_every_pod_is_confined(objects: list[dict[str, Any]]) -> None:
    for name, pod in pods(objects).items():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        # Whoever asks the API server has an account of its own.
        asks = pod["serviceAccountName"] != "erasurehead"
        assert pod["automountServiceAccountToken"] is asks, name
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"], container["name"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert set(container["resources"]) == {"requests", "limits"}


def test_every_image_has_a_tag_or_a_digest(objects: list[dict[str, Any]]) -> None:
    """Without one Kubernetes takes `latest`, which nobody has built."""
    for name, pod in pods(objects).items():
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            image = container["image"].rpartition("/")[2]
            assert re.fullmatch(r"[\w.-]+(:(?!latest)[\w.-]+|@sha256:\w+)", image), (name, image)


def test_what_rests_is_replaced_and_drained_all_the_same(objects: list[dict[str, Any]]) -> None:
    """A finished master is never ready, nor is `/readyz` of a worker without a place in a run.

    A StatefulSet that goes in order replaces no pod that is not ready, a rollout waits for those
    that are not, and a disruption budget counts them as disrupted.
    """
    for maker in of_kind(objects, "StatefulSet"):
        assert maker["spec"]["podManagementPolicy"] == "Parallel", maker["metadata"]["name"]
        [container] = maker["spec"]["template"]["spec"]["containers"]
        for probe in ("startupProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["path"] == "/healthz"
        ready = "/readyz" if maker["metadata"]["name"] == "master" else "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == ready


def test_prometheus_takes_its_configuration(
    objects: list[dict[str, Any]], run: Run, tmp_path: Path
) -> None:
    """Debian builds promtool without discovery by Kubernetes, so that part is left out of it."""
    for config in of_kind(objects, "ConfigMap"):
        if config["metadata"]["name"].startswith("prometheus-config"):
            told = yaml.safe_load(config["data"]["prometheus.yml"])
            for job in told["scrape_configs"]:
                asked = job.pop("kubernetes_sd_configs", [])
                assert all(
                    a == {"role": "pod", "namespaces": {"own_namespace": True}} for a in asked
                )
            path = tmp_path / "prometheus.yml"
            path.write_text(yaml.safe_dump(told), encoding="utf-8")
            done = run("promtool", "check", "config", "--syntax-only", path)
            assert done.returncode == 0, done.stdout + done.stderr


def test_without_dns_nothing_is_found_by_name(run: Run, tmp_path: Path) -> None:
    """Rows, metrics and dashboards alike come from addresses that Kubernetes itself gives."""
    paths = {
        name: os.path.relpath(ROOT / "k8s" / name, tmp_path)
        for name in ("base", "components/monitoring-no-dns", "components/no-dns")
    }
    base, *components = paths.values()
    text = f"namespace: erasurehead\nresources: [{base}]\ncomponents: [{', '.join(components)}]\n"
    (tmp_path / "kustomization.yaml").write_text(text, encoding="utf-8")
    done = run("kubectl", "kustomize", tmp_path)
    assert done.returncode == 0, done.stderr
    objects = list(yaml.safe_load_all(done.stdout))
    assert faults(objects) == []
    for config in of_kind(objects, "ConfigMap"):
        if config["metadata"]["name"].startswith(("prometheus-config", "erasurehead-grafana-data")):
            text = config["data"]["prometheus.yml"]
            assert "dns_sd_configs" not in text
            assert "http://prometheus" not in text
    linked = pods(objects)
    assert linked["worker"]["enableServiceLinks"]
    assert linked["grafana"]["enableServiceLinks"]
    assert linked["prometheus"]["serviceAccountName"] == "prometheus"


def test_deleting_an_overlay_keeps_the_namespace(objects: list[dict[str, Any]]) -> None:
    assert not of_kind(objects, "Namespace")
    assert {o["metadata"].get("namespace") for o in objects} == {"erasurehead"}
    namespace = yaml.safe_load((ROOT / "k8s" / "namespace.yaml").read_text(encoding="utf-8"))
    assert namespace["metadata"]["name"] == "erasurehead"
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_services_have_probes_and_the_recommended_labels(objects: list[dict[str, Any]]) -> None:
    jobs = [job for thing in of_kind(objects, "JobSet") for job in jobs_of(thing)]
    services = [*of_kind(objects, "StatefulSet"), *jobs]
    assert len(services) >= 2
    for maker in services:
        [container] = maker["spec"]["template"]["spec"]["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
        labels = maker["spec"]["template"]["metadata"]["labels"]
        for name in ("name", "component", "instance", "version", "part-of", "managed-by"):
            assert f"app.kubernetes.io/{name}" in labels


def test_a_server_would_take_them(objects: list[dict[str, Any]]) -> None:
    """Quantities, ranges, names, selectors and references: what no schema says."""
    assert faults(objects) == []


def test_pools_select_different_pods_and_take_different_slots(
    objects: list[dict[str, Any]],
) -> None:
    workers = [
        o for o in of_kind(objects, "StatefulSet") if o["metadata"]["name"].startswith("worker")
    ]
    selectors = [tuple(sorted(w["spec"]["selector"]["matchLabels"].items())) for w in workers]
    assert len(set(selectors)) == len(selectors)
    taken: list[int] = []
    for worker in workers:
        [container] = worker["spec"]["template"]["spec"]["containers"]
        env = {e["name"]: e.get("value") for e in container["env"]}
        if "--slot" in container["args"][0]:
            first = int(env["FIRST_SLOT"])
            taken.extend(range(first, first + worker["spec"]["replicas"]))
    assert len(set(taken)) == len(taken)


def test_the_shell_of_a_worker_cuts_its_ordinal_from_its_name(
    objects: list[dict[str, Any]], run: Run
) -> None:
    if of_kind(objects, "JobSet"):
        return  # Kubernetes tells a worker of a Job its index
    [worker] = [o for o in of_kind(objects, "StatefulSet") if o["metadata"]["name"] == "worker"]
    [container] = worker["spec"]["template"]["spec"]["containers"]
    script = container["args"][0].replace("exec erasurehead", "echo")
    done = run("sh", "-c", f"POD_NAME=worker-slow-11 FIRST_SLOT=6; {script}")
    assert done.returncode == 0
    assert "--name worker-slow-11" in done.stdout
    if "--slot" in script:
        assert done.stdout.split()[-1] == "17"


def test_every_group_has_a_worker_of_the_standard_pool() -> None:
    """A group of slow workers only would be erased in nearly every round."""
    path = ROOT / "k8s" / "overlays" / "heterogeneous" / "master.yaml"
    settings = load(MasterSettings, {}, config=path, environment={}).coding
    for seed in range(5):
        code = Coding.of(parse(settings.scheme), settings.workers, settings.tasks, seed).code
        assert code.groups is not None
        assert set(code.groups.of_symbol[:6].tolist()) == set(range(code.groups.count))


def test_the_configurations_are_ones_we_take(objects: list[dict[str, Any]], tmp_path: Path) -> None:
    slots = 0
    for config in of_kind(objects, "ConfigMap"):
        for key, text in config["data"].items():
            path = tmp_path / key
            path.write_text(text, encoding="utf-8")
            if key == "master.yaml":
                master = load(MasterSettings, {}, config=path, environment={})
                slots = master.coding.workers
                assert master.http.bind == "0.0.0.0:9177"
                assert master.http.linger
                assert master.bind.endswith(":5577")
            elif key == "worker.yaml":
                worker = load(WorkerSettings, {}, config=path, environment={})
                assert worker.connect == "tcp://master:5577"
    workers = [
        maker["spec"]
        for maker in makers(objects)
        if maker["spec"]["template"]["metadata"]["labels"][COMPONENT] == "worker"
    ]
    assert sum(w.get("replicas", w.get("parallelism")) for w in workers) >= slots > 0


def test_m1_small_follows_its_one_setting(run: Run) -> None:
    text = run("kubectl", "kustomize", ROOT / "k8s" / "overlays" / "m1-small").stdout
    [worker] = [
        o
        for o in yaml.safe_load_all(text)
        if o["kind"] == "StatefulSet" and o["metadata"]["name"] == "worker"
    ]
    [container] = worker["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "200m", "memory": "1700M"}
    assert worker["spec"]["replicas"] == 30


@pytest.mark.parametrize(
    "path", sorted((ROOT / "k8s").rglob("*.yaml")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_every_manifest_explains_itself(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.search(r"^ *# \w", text, re.MULTILINE), "no comment says what this is for"
