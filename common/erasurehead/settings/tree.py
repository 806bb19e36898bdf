"""The one configuration tree: a root for a run, others for its master elsewhere and for a worker.

The command line's options, the environment's variables, docs/settings.md and the validation all
come from these classes. Everything is checked before a socket is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from erasurehead.network.addresses import check_address, stays_on_this_machine
from erasurehead.settings.groups import (
    CheckpointSettings,
    HttpSettings,
    LimitSettings,
    MasterHttpSettings,
    MasterKeySettings,
    MembershipSettings,
    PositiveSeconds,
    RefitSettings,
    WireSettings,
    WorkerKeySettings,
)
from erasurehead.settings.main_groups import (
    CodingSettings,
    DescentSettings,
    ProblemSettings,
    RunIdentitySettings,
    StragglingSettings,
)

if TYPE_CHECKING:
    from erasurehead.schemes.coding import Coding
    from erasurehead.schemes.scheme import Scheme
    from erasurehead.straggling.base import DelayModel

PluginNames = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda given: given.split(",") if isinstance(given, str) else given),
]


class TreeSettings(BaseModel):
    """Settings of every command."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plugin: PluginNames = Field(
        (),
        description="Python file or module that registers parts of your own (docs/extending.md);"
        " may be given several times [default: none but those of installed packages]",
    )

    def changed(self, **groups: Mapping[str, Any]) -> Self:
        """Return a copy with other values in some groups: ``changed(descent={"rounds": 5})``.

        Values are taken as they are; only `load` checks them.
        """
        sections = {
            name: getattr(self, name).model_copy(update=values) for name, values in groups.items()
        }
        return self.model_copy(update=sections)


class RunSettings(TreeSettings):
    """One training run."""

    problem: ProblemSettings
    coding: CodingSettings = CodingSettings()
    straggling: StragglingSettings = StragglingSettings()
    descent: DescentSettings = DescentSettings()
    run: RunIdentitySettings = RunIdentitySettings()
    wire: WireSettings = WireSettings()
    membership: MembershipSettings = MembershipSettings()
    refit: RefitSettings = RefitSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    limits: LimitSettings = LimitSettings()
    http: MasterHttpSettings = MasterHttpSettings()

    @property
    def max_connections(self) -> int:
        """Connections, and members, there may be at one time."""
        return self.limits.max_connections or 2 * self.coding.workers + 256

    def delays(self, n_workers: int | None = None) -> DelayModel:
        """Return the delays to inject in each slot.

        Parameters
        ----------
        n_workers: slots, where there are others than the settings ask for.
        """
        from erasurehead.straggling import DELAYS

        n_slots = self.coding.workers if n_workers is None else n_workers
        return DELAYS.build(self.straggling.delay, n_slots, self.run.seed)

    def fitted(self, scheme: Scheme | None = None) -> Coding:
        """Return the scheme, or another one, fitted to the workers.

        Raises
        ------
        UsageError: it does not fit them.
        """
        from erasurehead.schemes.coding import Coding
        from erasurehead.schemes.text import parse

        chosen = self.coding
        return Coding.of(
            scheme or parse(chosen.scheme), chosen.workers, chosen.tasks, self.run.seed
        )

    @model_validator(mode="after")
    def _sizes_fit(self) -> RunSettings:
        minimum, workers = self.membership.min_workers, self.coding.workers
        if minimum is not None and minimum > workers:
            raise ValueError(
                f"membership.min_workers={minimum} can never be met by workers={workers}"
            )
        if self.max_connections < workers:
            raise ValueError(
                f"limits.max_connections={self.max_connections} leaves no room for"
                f" workers={workers}"
            )
        return self


class MasterSettings(RunSettings):
    """A master for workers on other machines."""

    bind: str = Field("tcp://127.0.0.1:5577", description="address to listen on")
    share_store: bool = Field(
        True, description="let workers open the store by its location; else rows are streamed"
    )
    insecure: bool = Field(
        False,
        description="listen beyond this machine without keys: every process that reaches the"
        " address can read the model and the rows, and send results",
    )
    unfinished_code: int = Field(
        0,
        ge=0,
        le=255,
        description="exit code of a master that is asked to end (SIGTERM, SIGHUP) before its run is"
        " done: a Kubernetes Job starts its pod again after any other than 0",
    )
    keys: MasterKeySettings = MasterKeySettings()

    @model_validator(mode="after")
    def _address_is_one(self) -> MasterSettings:
        check_address("bind", self.bind, listens=True)
        return self

    @model_validator(mode="after")
    def _door_is_shut(self) -> MasterSettings:
        if self.keys.secret is not None:
            if self.insecure:
                raise ValueError(
                    f"insecure and keys.secret={self.keys.secret} contradict each other; leave"
                    " one of them out"
                )
        elif not self.insecure and not stays_on_this_machine(self.bind):
            raise ValueError(
                f"bind={self.bind} can be reached from other machines and there are no keys: make"
                " some with 'erasurehead keys new' and give --keys-secret and --keys-workers, or"
                " say --insecure if every process that reaches it may take part"
            )
        return self


class SlurmSettings(RunSettings):
    """A master and workers that srun starts."""

    bind: str | None = Field(
        None,
        description="address that the first task listens on [default: a free port of an address"
        " that the job's other nodes reach]",
    )
    share_store: bool = Field(
        True, description="let workers open the store by its location; else rows are streamed"
    )
    insecure: bool = Field(
        False,
        description="do without the keys that stand in the address file: every process that reaches"
        " the address can read the model and the rows, and send results",
    )
    address_file: Path | None = Field(
        None,
        description="file, on a file system that all nodes share, in which the first task says"
        " where it listens; workers of other jobs that are told of it join"
        " [default: erasurehead-JOB.json]",
    )
    address_wait_s: PositiveSeconds = Field(
        120.0,
        description="seconds without a master after which the other tasks end; a file may be seen"
        " late on NFS",
    )
    cache: Path | None = Field(
        None, description="directory of each node for streamed rows, kept by digest"
    )

    @model_validator(mode="after")
    def _address_is_one(self) -> SlurmSettings:
        if self.bind is not None:
            check_address("bind", self.bind, listens=True)
        return self


class WorkerSettings(TreeSettings):
    """One worker."""

    connect: str = Field("tcp://127.0.0.1:5577", description="the master's address")
    address_file: Path | None = Field(
        None,
        description="file in which the master of 'erasurehead slurm' says where it is, in place of"
        " connect and keys [default: none]",
    )
    name: str | None = Field(
        None,
        description="name that outlives the process [default: host, process id, a random part]",
    )
    slot: int | None = Field(None, ge=0, description="slot this worker would like to have")
    store: str | None = Field(
        None, description="where this machine has the store [default: as the master says]"
    )
    cache: Path | None = Field(None, description="directory for streamed rows, kept by digest")
    retry_limit_s: float | None = Field(
        None, gt=0, description="seconds without a master before giving up [default: never]"
    )
    drain_s: float = Field(
        5.0,
        ge=0,
        allow_inf_nan=False,
        description="seconds that the round at hand may still take when this process is asked to"
        " end (SIGTERM, SIGHUP); its result is sent, and its slot is free before the process ends",
    )
    unfinished_code: int = Field(
        0,
        ge=0,
        le=255,
        description="exit code of a worker that is asked to end (SIGTERM, SIGHUP): a Kubernetes Job"
        " starts its pod again after any other than 0",
    )
    keys: WorkerKeySettings = WorkerKeySettings()
    http: HttpSettings = HttpSettings()

    @model_validator(mode="after")
    def _address_is_one(self) -> WorkerSettings:
        check_address("connect", self.connect, listens=False)
        return self

    @model_validator(mode="after")
    def _one_way_to_the_master(self) -> WorkerSettings:
        if self.address_file is not None:
            for given, what in (
                ("connect" in self.model_fields_set, f"connect={self.connect}"),
                (self.keys.secret is not None, f"keys.secret={self.keys.secret}"),
            ):
                if given:
                    raise ValueError(
                        f"address_file={self.address_file} says where the master is and has keys"
                        f" for it, and {what} contradicts it; leave one of them out"
                    )
        return self
