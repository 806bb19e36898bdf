"""The checks of the manifests must be able to fail: one alteration each, and what is said of it."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
import yaml

from tests.support.manifest_faults import faults, quantity

SOUND = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: account}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config}
data: {file.yaml: ""}
---
apiVersion: v1
kind: Service
metadata: {name: pods}
spec:
  selector: {app: demo}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: demo}
spec:
  serviceName: pods
  replicas: 2
  selector: {matchLabels: {app: demo}}
  volumeClaimTemplates:
    - {metadata: {name: data}, spec: {resources: {requests: {storage: 2Gi}}}}
  template:
    metadata: {labels: {app: demo, pool: standard}}
    spec:
      serviceAccountName: account
      containers:
        - name: demo
          env: [{name: A, value: "1"}]
          ports: [{name: http, containerPort: 8080}]
          resources: {requests: {cpu: 100m, memory: 1Gi}, limits: {cpu: "1", memory: 1Gi}}
          readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 5}
          volumeMounts:
            - {name: config, mountPath: /etc/demo, subPath: file.yaml}
            - {name: data, mountPath: /data}
      volumes:
        - {name: config, configMap: {name: config}}
"""
POD = ("StatefulSet", "spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)
EXTRA = "an element more"

ALTERATIONS: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "version": (("StatefulSet", "apiVersion"), "apps/v11", "apps/v11 serves no StatefulSet"),
    "name": (("StatefulSet", "metadata", "name"), "Demo", "this is no name"),
    "label": (("StatefulSet", "spec", "template", "metadata", "labels", "pool"), "a b", "'a b'"),
    "quantity": ((*CONTAINER, "resources", "limits", "cpu"), "100x", "cpu of 100x is no quantity"),
    "negative quantity": ((*CONTAINER, "resources", "requests", "cpu"), "-1", "no quantity"),
    "request": ((*CONTAINER, "resources", "requests", "memory"), "1.1Gi", "above 1Gi"),
    "replicas": (("StatefulSet", "spec", "replicas"), -2, "replicas of -2"),
    "period": ((*CONTAINER, "readinessProbe", "periodSeconds"), 0, "periodSeconds of 0"),
    "port": ((*CONTAINER, "ports", 0, "containerPort"), 99999, "99999 is no port"),
    "selector": (("StatefulSet", "spec", "selector", "matchLabels", "app"), "other", "the pods"),
    "service's selector": (("Service", "spec", "selector", "app"), "other", "fits no pod"),
    "service": (("StatefulSet", "spec", "serviceName"), "none", "no Service none"),
    "target": (("Service", "spec", "ports", 0, "targetPort"), "htp", "has no port htp"),
    "probe": ((*CONTAINER, "readinessProbe", "httpGet", "port"), "htp", "a probe of port htp"),
    "account": ((*POD, "serviceAccountName"), "none", "no ServiceAccount none"),
    "config": ((*POD, "volumes", 0, "configMap", "name"), "none", "no ConfigMap none"),
    "secret": ((*POD, "volumes", EXTRA), {"name": "s", "secret": {"secretName": "x"}}, "Secret x"),
    "key": ((*CONTAINER, "volumeMounts", 0, "subPath"), "none", "config has no none"),
    "volume": ((*CONTAINER, "volumeMounts", 1, "name"), "none", "no volume none"),
    "mount": ((*CONTAINER, "volumeMounts", 1, "mountPath"), "/etc/demo", "two mounts /etc/demo"),
    "variable": ((*CONTAINER, "env", EXTRA), {"name": "A", "value": "2"}, "two variables A"),
    "container": ((*POD, "containers", EXTRA), {"name": "demo"}, "two containers demo"),
}


def sound() -> dict[str, dict[str, Any]]:
    return {o["kind"]: o for o in yaml.safe_load_all(SOUND)}


def test_sound_manifests_have_no_faults() -> None:
    assert faults(list(sound().values())) == []


@pytest.mark.parametrize("name", ALTERATIONS)
def test_each_fault_is_found(name: str) -> None:
    path, value, expected = ALTERATIONS[name]
    objects = sound()
    place: Any = objects
    for step in path[:-1]:
        place = place[step]
    if path[-1] is EXTRA:
        place.append(value)
    else:
        place[path[-1]] = value
    found = faults(list(objects.values()))
    assert any(expected in fault for fault in found), found


def test_the_same_object_twice_is_a_fault() -> None:
    objects = list(sound().values())
    assert faults([*objects, copy.deepcopy(objects[1])]) == ["ConfigMap config is there 2 times"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("100m", "0.1"), ("2", "2"), (".5", "0.5"), ("1e3", "1000"), ("1.5Gi", "1610612736")],
)
def test_quantities_stand_for_numbers(text: str, number: str) -> None:
    assert quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["100x", "1K", "1,5", "", "m", "1 Gi"])
def test_other_words_are_no_quantities(text: str) -> None:
    assert quantity(text) is None
