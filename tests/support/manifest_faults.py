"""What a Kubernetes API server, or the first pod, would refuse in a set of manifests.

`kubernetes-validate --strict` compares shapes with a schema. So it takes a quantity of ``100x``, a
request above its limit, minus two replicas, a selector that fits no label and two containers of one
name, and of an unknown apiVersion it says only that it has no schema
(findings/kubernetes-validate.sh).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from tests.support.job_sets import jobs_of

Object = dict[str, Any]

VERSIONS = {
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "JobSet": "jobset.x-k8s.io/v1alpha2",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PersistentVolumeClaim": "v1",
    "PodDisruptionBudget": "policy/v1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "StatefulSet": "apps/v1",
}
"""Every kind that we use, and the version that serves it."""

SECRETS = {"master-keys", "worker-keys", "allowed-workers"}
"""Made beforehand (docs/kubernetes.md), so no manifest has them."""

FACTORS = {
    **{"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1)},
    **{unit: Decimal(1000) ** i for i, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** i for i, unit in enumerate("KMGTPE", 1)},
}
"""What the suffix of a quantity stands for."""

LEAST = {
    "replicas": 0,
    "backoffLimit": 0,
    "ttlSecondsAfterFinished": 0,
    "terminationGracePeriodSeconds": 0,
    "initialDelaySeconds": 0,
    "periodSeconds": 1,
    "timeoutSeconds": 1,
    "failureThreshold": 1,
    "successThreshold": 1,
    "maxSkew": 1,
}
"""The least value of each number, wherever it stands."""

PORTS = ("port", "containerPort", "targetPort", "nodePort")
MAKERS = ("StatefulSet", "Deployment", "Job")


def faults(objects: list[Object]) -> list[str]:
    """Return what is wrong, a sentence each; none where a server would take them all.

    The Jobs that a JobSet makes are looked at as well.
    """
    every = [*objects, *(job for thing in objects for job in jobs_of(thing))]
    return [fault for check in CHECKS for fault in check(every)]


def quantity(text: object) -> Decimal | None:
    """Return the number that a quantity such as ``2Gi`` stands for; None: it is no quantity."""
    found = re.fullmatch(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?:([eE][+-]?\d+)|(\D*))", str(text))
    if found is None or (found[3] or "") not in FACTORS:
        return None
    return Decimal(found[1] + (found[2] or "")) * FACTORS[found[3] or ""]


def _versions(objects: list[Object]) -> Iterator[str]:
    for thing in objects:
        if thing["apiVersion"] != VERSIONS.get(thing["kind"]):
            yield f"{_called(thing)}: {thing['apiVersion']} serves no {thing['kind']}"


def _names(objects: list[Object]) -> Iterator[str]:
    named = Counter(map(_called, objects))
    yield from (f"{name} is there {n} times" for name, n in named.items() if n > 1)
    for thing in objects:
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", thing["metadata"]["name"]):
            yield f"{_called(thing)}: this is no name"
        for key, value in _labels(thing):
            if not re.fullmatch(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?", str(value), re.ASCII):
                yield f"{_called(thing)}: {key} cannot be {value!r}"
    for maker, template in _templates(objects):
        pod = template["spec"]
        containers = _containers(pod)
        yield from _twice(maker, "container", (c["name"] for c in containers))
        yield from _twice(maker, "volume", (v["name"] for v in pod.get("volumes", [])))
        for container in containers:
            where = f"{maker}, container {container['name']}"
            ports = container.get("ports", [])
            yield from _twice(where, "port", (p["name"] for p in ports))
            yield from _twice(where, "port", (str(p["containerPort"]) for p in ports))
            yield from _twice(where, "variable", (e["name"] for e in container.get("env", [])))
            mounts = container.get("volumeMounts", [])
            yield from _twice(where, "mount", (m["mountPath"] for m in mounts))


def _quantities(objects: list[Object]) -> Iterator[str]:
    for thing in objects:
        for path, value in _walk(thing):
            if len(path) > 1 and (path[-2] in ("requests", "limits") or path[-1] == "sizeLimit"):
                number = quantity(value)
                if number is None or number < 0:
                    yield f"{_called(thing)}: {path[-1]} of {value} is no quantity"
        for _, resources in _walk(thing, "resources"):
            if not isinstance(resources, dict):
                continue  # of a Role: kinds of objects
            limits = resources.get("limits", {})
            for kind, asked in resources.get("requests", {}).items():
                least, most = quantity(asked), quantity(limits.get(kind, asked))
                if least is not None and most is not None and least > most:
                    yield f"{_called(thing)}: it requests {kind} of {asked}, above {limits[kind]}"


def _ranges(objects: list[Object]) -> Iterator[str]:
    for thing in objects:
        for path, value in _walk(thing):
            least = LEAST.get(str(path[-1]))
            if least is not None and (type(value) is not int or value < least):
                yield f"{_called(thing)}: {path[-1]} of {value}, which is below {least}"
            if path[-1] in PORTS and type(value) is int and not 0 < value < 1 << 16:
                yield f"{_called(thing)}: {value} is no port"


def _selectors(objects: list[Object]) -> Iterator[str]:
    labels = [template["metadata"]["labels"] for _, template in _templates(objects)]
    for thing in objects:
        spec = thing.get("spec", {})
        wanted = spec.get("selector", spec.get("podSelector", {}))
        wanted = wanted.get("matchLabels", {}) if thing["kind"] != "Service" else wanted
        if thing["kind"] in ("StatefulSet", "Deployment"):
            if not wanted or not wanted.items() <= spec["template"]["metadata"]["labels"].items():
                yield f"{_called(thing)}: its selector does not fit the pods that it makes"
        elif not any(wanted.items() <= of_pod.items() for of_pod in labels):
            yield f"{_called(thing)}: its selector fits no pod"


def _references(objects: list[Object]) -> Iterator[str]:
    there = {(o["kind"], o["metadata"]["name"]) for o in objects}
    there |= {("Secret", name) for name in SECRETS}
    for thing in objects:
        wanted = []
        if thing["kind"] == "StatefulSet":
            wanted.append(("Service", thing["spec"]["serviceName"]))
        if thing["kind"] in MAKERS:
            pod = thing["spec"]["template"]["spec"]
            wanted.append(("ServiceAccount", pod["serviceAccountName"]))
            wanted += filter(None, map(_source, pod["volumes"]))
        for kind, name in wanted:
            if (kind, name) not in there:
                yield f"{_called(thing)}: there is no {kind} {name}"


def _mounts(objects: list[Object]) -> Iterator[str]:
    files = {
        ("ConfigMap", o["metadata"]["name"]): o["data"] for o in objects if o["kind"] == "ConfigMap"
    }
    for thing in (o for o in objects if o["kind"] in MAKERS):
        pod = thing["spec"]["template"]["spec"]
        volumes = {v["name"]: _source(v) for v in pod["volumes"]}
        for claim in thing["spec"].get("volumeClaimTemplates", []):
            volumes[claim["metadata"]["name"]] = None
        for container in _containers(pod):
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    yield f"{_called(thing)}: there is no volume {mount['name']}"
                source = volumes.get(mount["name"])
                if source in files and mount.get("subPath", "") not in ("", *files[source]):
                    yield f"{_called(thing)}: {source[1]} has no {mount['subPath']}"


def _ports(objects: list[Object]) -> Iterator[str]:
    services = [o for o in objects if o["kind"] == "Service"]
    for maker, template in _templates(objects):
        offered = [p for c in _containers(template["spec"]) for p in c.get("ports", [])]
        known = {x for p in offered for x in (p["name"], p["containerPort"])}
        for path, port in _walk(template["spec"]):
            if path[-2:] == ("httpGet", "port") and port not in known:
                yield f"{maker}: a probe of port {port}, which it has not"
        for service in services:
            if service["spec"]["selector"].items() <= template["metadata"]["labels"].items():
                for port in service["spec"]["ports"]:
                    if port.get("targetPort", port["port"]) not in known:
                        yield f"{_called(service)}: {maker} has no port {port['targetPort']}"


CHECKS = (_versions, _names, _quantities, _ranges, _selectors, _references, _mounts, _ports)


def _called(thing: Object) -> str:
    return f"{thing['kind']} {thing['metadata']['name']}"


def _templates(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield what makes pods, and the pods' template."""
    yield from ((_called(o), o["spec"]["template"]) for o in objects if o["kind"] in MAKERS)


def _containers(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def _source(volume: Object) -> tuple[str, str] | None:
    """Return kind and name of the object that a volume shows."""
    if "configMap" in volume:
        return "ConfigMap", volume["configMap"]["name"]
    if "secret" in volume:
        return "Secret", volume["secret"]["secretName"]
    if "persistentVolumeClaim" in volume:
        return "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
    return None


def _labels(thing: Object) -> Iterator[tuple[str, Any]]:
    for path, labels in _walk(thing):
        if len(path) > 1 and path[-2] in ("labels", "matchLabels"):
            yield str(path[-1]), labels


def _twice(where: str, what: str, names: Iterable[str]) -> Iterator[str]:
    yield from (f"{where}: two {what}s {n}" for n, count in Counter(names).items() if count > 1)


def _walk(value: Any, key: str | None = None) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield path and value of every leaf, or of everything that stands under `key`."""
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    for step, inner in steps:
        if key is not None and step == key:
            yield (step,), inner
        if isinstance(inner, dict | list):
            yield from (((step, *path), found) for path, found in _walk(inner, key))
        elif key is None:
            yield (step,), inner
