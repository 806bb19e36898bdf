"""The Jobs that others make: of a JobSet, and of a training runtime."""

from __future__ import annotations

import copy
from typing import Any

Object = dict[str, Any]

ANCESTOR = "trainer.kubeflow.org/trainjob-ancestor-step"
"""The label of the Job whose pods a TrainJob's `trainer` is about."""


def jobs_of(thing: Object) -> list[Object]:
    """Return the Jobs that a JobSet makes of its templates; none of anything else."""
    if thing["kind"] != "JobSet":
        return []
    name = thing["metadata"]["name"]
    where = {k: v for k, v in thing["metadata"].items() if k == "namespace"}
    return [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                **job["template"].get("metadata", {}),
                **where,
                "name": f"{name}-{job['name']}-0",
            },
            "spec": job["template"]["spec"],
        }
        for job in thing["spec"]["replicatedJobs"]
    ]


def started(runtime: Object, trainjob: Object, name: str, namespace: str) -> Object:
    """Return the JobSet that the Trainer's controller makes of a TrainJob and its runtime.

    The number of nodes is that of the pods of the Job with the label, and `args` and `env` are of
    its container called node.
    """
    spec = copy.deepcopy(runtime["spec"]["template"]["spec"])
    trainer = trainjob["spec"]["trainer"]
    nodes = trainer.get("numNodes", runtime["spec"]["mlPolicy"]["numNodes"])
    for job in spec["replicatedJobs"]:
        labels = job["template"].get("metadata", {}).get("labels", {})
        if labels.get(ANCESTOR) == "trainer":
            job["template"]["spec"] |= {"parallelism": nodes, "completions": nodes}
            for container in job["template"]["spec"]["template"]["spec"]["containers"]:
                if container["name"] == "node":
                    container["args"] = trainer.get("args", container["args"])
                    container["env"] = [*container["env"], *trainer.get("env", [])]
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
