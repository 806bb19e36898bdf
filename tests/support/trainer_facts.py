"""What the schemas of JobSet and of Kubeflow Trainer say of the fields that we use.

Facts, written down from the custom resource definitions and the admission webhooks of JobSet 0.10
to 0.12 and of Kubeflow Trainer 2.2 and 2.3: names, types and limits of fields, and what the
webhooks demand besides. A field that is not here may well exist; it is refused, so that whoever
uses it looks it up and writes it down.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from tests.support.job_sets import ANCESTOR

Object = dict[str, Any]
"""Of Kubernetes' own schemas, which others check."""

ADDED_TO_A_POD_S_NAME = 6
"""Characters that a Job puts behind job, index and a dash: another dash and five by lot."""

LONGEST_LABEL = 63

Name = Annotated[str, Field(min_length=1, max_length=253)]


class Strict(BaseModel):
    """Fields that are not known are refused, and types are what they are."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Metadata(Strict):
    name: Name | None = None
    generate_name: Name | None = None
    namespace: Name | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @model_validator(mode="after")
    def _server(self) -> Self:
        assert (self.name is None) != (self.generate_name is None), "one of the two names"
        return self


# jobset.x-k8s.io/v1alpha2


class DependsOn(Strict):
    name: str
    status: Literal["Ready", "Complete"]


class ReplicatedJob(Strict):
    name: str
    replicas: Annotated[int, Field(ge=0)] = 1
    template: Object
    depends_on: Annotated[list[DependsOn], Field(max_length=5)] = []


class Network(Strict):
    enable_dns_hostnames: Annotated[bool | None, Field(alias="enableDNSHostnames")] = None
    subdomain: str | None = None
    publish_not_ready_addresses: bool | None = None


class SuccessPolicy(Strict):
    operator: Literal["All", "Any"]
    target_replicated_jobs: list[str] = []


class Coordinator(Strict):
    replicated_job: str
    job_index: int = 0
    pod_index: int = 0


class JobSetSpec(Strict):
    replicated_jobs: list[ReplicatedJob]
    network: Network | None = None
    success_policy: SuccessPolicy | None = None
    coordinator: Coordinator | None = None
    suspend: bool | None = None
    ttl_seconds_after_finished: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _webhook(self) -> Self:
        """What JobSet's admission webhook refuses besides."""
        before: set[str] = set()
        for job in self.replicated_jobs:
            unknown = {d.name for d in job.depends_on} - before
            assert not unknown, f"{job.name} depends on {unknown}, which do not come before it"
            before.add(job.name)
        assert len(before) == len(self.replicated_jobs), "two replicated jobs of one name"
        named = set(self.success_policy.target_replicated_jobs if self.success_policy else ())
        named |= {self.coordinator.replicated_job} if self.coordinator else set()
        assert named <= before, f"there is no replicated job {named - before}"
        return self

    def check_names(self, jobset: str) -> None:
        """Assert that names of pods, made of the set's, the job's and two numbers, fit a label."""
        for job in self.replicated_jobs:
            pods = job.template["spec"].get("completions", 1)
            longest = f"{jobset}-{job.name}-{job.replicas - 1}-{pods - 1}"
            assert len(longest) + ADDED_TO_A_POD_S_NAME <= LONGEST_LABEL, longest


class JobSet(Strict):
    api_version: Literal["jobset.x-k8s.io/v1alpha2"]
    kind: Literal["JobSet"]
    metadata: Metadata
    spec: JobSetSpec


# trainer.kubeflow.org/v1alpha1


class MLPolicy(Strict):
    """None of the policies of a framework: then the controller sets the number of pods only."""

    num_nodes: int | None = None


class JobSetTemplate(Strict):
    spec: JobSetSpec


class RuntimeSpec(Strict):
    ml_policy: MLPolicy
    template: JobSetTemplate

    @model_validator(mode="after")
    def _webhook(self) -> Self:
        """What the Trainer's admission webhook refuses besides, and what its plugins look for."""
        trained = [
            job
            for job in self.template.spec.replicated_jobs
            if job.template.get("metadata", {}).get("labels", {}).get(ANCESTOR) == "trainer"
        ]
        assert len(trained) == 1, "the first job with the label is the one that counts"
        [job] = trained
        assert job.replicas == 1
        names = [c["name"] for c in job.template["spec"]["template"]["spec"]["containers"]]
        assert "node" in names
        return self


class ClusterTrainingRuntime(Strict):
    api_version: Literal["trainer.kubeflow.org/v1alpha1"]
    kind: Literal["ClusterTrainingRuntime"]
    metadata: Metadata
    spec: RuntimeSpec

    @model_validator(mode="after")
    def _is_of_the_cluster(self) -> Self:
        assert self.metadata.namespace is None
        return self


class RuntimeRef(Strict):
    name: Name
    api_group: str = "trainer.kubeflow.org"
    kind: Literal["ClusterTrainingRuntime", "TrainingRuntime"] = "ClusterTrainingRuntime"


class Variable(Strict):
    name: str
    value: str


class Trainer(Strict):
    image: Annotated[str, Field(max_length=500)] | None = None
    command: Annotated[list[str], Field(max_length=128)] | None = None
    args: Annotated[list[str], Field(max_length=128)] | None = None
    env: Annotated[list[Variable], Field(max_length=128)] = []
    num_nodes: int | None = None
    resources_per_node: Object | None = None


class TrainJobSpec(Strict):
    runtime_ref: RuntimeRef
    trainer: Trainer | None = None
    suspend: bool = False


class TrainJob(Strict):
    api_version: Literal["trainer.kubeflow.org/v1alpha1"]
    kind: Literal["TrainJob"]
    metadata: Metadata
    spec: TrainJobSpec


# What the status server takes (KEP-2779)


class Metric(Strict):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    value: Annotated[str, Field(min_length=1, max_length=64)]


class TrainerStatus(Strict):
    progress_percentage: Annotated[int, Field(ge=0, le=100)] | None = None
    estimated_remaining_seconds: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    metrics: Annotated[list[Metric], Field(max_length=256)] = []
    last_updated_time: Annotated[datetime, Field(strict=False)]


class UpdateTrainJobStatusRequest(Strict):
    trainer_status: TrainerStatus
