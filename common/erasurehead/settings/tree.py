"""The one configuration tree.

The command line's options, the environment's variables, docs/settings.md and the validation all
come from these classes. Everything is checked before a socket is opened.

The main groups are named after the part of a run that they choose, and after the library's folders
where there is one: a group called ``scheme`` would hold a setting called ``scheme``, and its name
was a setting's own while these settings stood at the root.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from erasurehead.network.addresses import check_address, stays_on_this_machine
from erasurehead.settings.parts import DelayText, ModelText, OptimizerText, SchemeText, StepText

PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A group of settings; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MainSection(Section):
    """A group of which command line and environment leave the name out.

    Its settings are given so often that ``--rounds`` and ``ERASUREHEAD_ROUNDS`` are all there is;
    only YAML and Python say ``descent.rounds``.
    """

    # A step of 0.1 in YAML is a number, and the setting a text.
    model_config = ConfigDict(coerce_numbers_to_str=True)


class ProblemSettings(MainSection):
    """What is learnt, and from which rows."""

    store: str = Field(description="prepared data: a directory or any fsspec URL")
    model: ModelText | None = Field(
        None, description="what is fitted to the labels [default: the one for the store's labels]"
    )
    l2: float = Field(0.0, ge=0, allow_inf_nan=False, description="weight of (l2/2)||theta||^2")


class CodingSettings(MainSection):
    """How tasks are spread over workers, and when a round closes."""

    scheme: SchemeText = Field(
        "agc:c=3,delta=0.37",
        description="a paper's scheme or its parts, of which all but the code may be left out",
    )
    workers: int = Field(12, ge=1, description="slots of the code (k)")
    tasks: int | None = Field(
        None, ge=1, description="row blocks the data is cut into (n) [default: the code's own]"
    )


class StragglingSettings(MainSection):
    """Stragglers of our own making."""

    delay: DelayText = Field("none", max_length=4096, description="injected delay")


class DescentSettings(MainSection):
    """How the model moves, how often, and when it is looked at."""

    optimizer: OptimizerText = Field(
        "gradient-descent", description="what a round's gradient does to the model"
    )
    step: StepText = Field("auto", description="step size (auto is 1 / largest curvature)")
    rounds: int = Field(100, ge=1, description="rounds to run")
    evaluate_every_rounds: int = Field(
        10, ge=1, description="rounds between evaluations on the test rows"
    )


class RunIdentitySettings(MainSection):
    """Which run of them all this is: its seed and its directory."""

    seed: int = Field(0, ge=0, lt=2**31, description="everything random derives from it")
    out: Path | None = Field(None, description="run directory to write [default: runs/...]")
    resume: bool = Field(
        False, description="go on with the run in the directory, or begin it if there is none"
    )

    @model_validator(mode="after")
    def _run_is_named(self) -> RunIdentitySettings:
        if self.resume and self.out is None:
            raise ValueError(
                "resume goes on with the run in a directory, and none is named; give it as out"
            )
        return self


class RefitSettings(Section):
    """When the master fits the code to the workers that are there."""

    elastic: bool = Field(
        False,
        description="rebuild the code for the workers there are when a slot stays empty, and again"
        " when they return",
    )
    rebuild_after_s: PositiveSeconds = Field(
        15.0,
        description="seconds that a slot stays empty, or a spare waits, before the master rebuilds"
        " the code",
    )
    regroup_after_rounds: int = Field(
        25,
        ge=0,
        description="rounds after which the master places tasks by the straggler probabilities that"
        " it has learnt, and again after as many if these have moved beyond chance; for schemes"
        " that place tasks by probabilities (groups=balanced, osgc, matched-cyclic) and were given"
        " none; 0: never",
    )


class WireSettings(Section):
    """What travels between master and workers."""

    dtype: Literal["auto", "<f8", "<f4"] = Field(
        "auto",
        description="number format of models and gradients on the wire; auto: <f4 where rounding"
        " is far below what erasures cost (agc without a cache, uncoded with r), else <f8",
    )
    dense_share: float = Field(
        0.7,
        ge=0,
        le=1,
        description="share of all columns above which a worker's support counts as dense",
    )
    max_frame_bytes: int = Field(
        1 << 30, ge=1 << 16, description="largest frame accepted, in bytes"
    )
    high_water_mark: int = Field(
        8, ge=2, description="messages queued for one peer before further ones are dropped"
    )
    chunk_bytes: int = Field(
        4 << 20, ge=1 << 10, description="size of one chunk of streamed rows, in bytes"
    )


class MembershipSettings(Section):
    """Which workers take part, and when the master gives one up."""

    min_workers: int | None = Field(
        None, ge=1, description="workers that must be ready before round 1 [default: all]"
    )
    max_wait_s: PositiveSeconds = Field(
        60.0, description="seconds to wait for all workers before starting with min_workers"
    )
    heartbeat_interval_s: PositiveSeconds = Field(
        1.0, description="seconds between signs of life of an otherwise silent peer"
    )
    silence_limit_s: PositiveSeconds = Field(
        5.0, description="seconds without any message after which a worker's slot is free"
    )
    empty_limit_s: PositiveSeconds = Field(
        60.0, description="seconds without any worker after which the run ends (exit code 3)"
    )
    set_aside_after: int = Field(
        3,
        ge=1,
        description="malformed or non-finite results after which the master sets a worker aside",
    )

    @model_validator(mode="after")
    def _limits_fit(self) -> MembershipSettings:
        if self.silence_limit_s < 2 * self.heartbeat_interval_s:
            raise ValueError(
                f"silence_limit_s={self.silence_limit_s:g} must be at least twice"
                f" heartbeat_interval_s={self.heartbeat_interval_s:g}, or one late"
                " heartbeat looks like a death"
            )
        return self


class CheckpointSettings(Section):
    """What survives the master's death. Checkpoints lie in the run directory."""

    every_s: PositiveSeconds = Field(30.0, description="seconds between checkpoints")
    every_rounds: int | None = Field(
        None, ge=1, description="rounds between checkpoints, besides every_s [default: none]"
    )
    keep: int = Field(3, ge=1, description="checkpoints kept")


class LimitSettings(Section):
    """How much of the master a peer may take up; above all a stranger."""

    max_connections: int | None = Field(
        None,
        ge=1,
        description="connections held at one time; beyond it the master cuts the oldest that never"
        " spoke [default: twice the workers, and 256]",
    )
    handshake_s: PositiveSeconds = Field(
        10.0, description="seconds a new connection may take to finish its handshake"
    )
    refused_burst: int = Field(
        200, ge=1, description="refused messages that a peer may send at once"
    )
    refused_per_s: float = Field(
        20.0,
        gt=0,
        allow_inf_nan=False,
        description="refused messages a second that a peer may send in the long run",
    )
    mute_s: PositiveSeconds = Field(
        10.0, description="seconds for which the master ignores a peer that sent more than that"
    )
    norm_multiple: float | None = Field(
        None,
        gt=1,
        allow_inf_nan=False,
        description="largest norm of a result, as a multiple of the median of recent ones; the"
        " master refuses larger ones [default: no limit]",
    )


class MasterKeySettings(Section):
    """Keys of the master, made with `erasurehead keys new` (docs/security.md)."""

    secret: Path | None = Field(
        None, description="the master's own secret key; with it all connections are encrypted"
    )
    workers: Path | None = Field(
        None,
        description="directory of the public keys (*.pub) of workers that may take part; a file"
        " taken out of it revokes its worker while the run goes on",
    )
    recheck_s: PositiveSeconds = Field(
        1.0, description="seconds between looks at the directory of workers' keys"
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> MasterKeySettings:
        if (self.secret is None) != (self.workers is None):
            raise ValueError(
                "keys.secret and keys.workers belong together: the master's own key, and the"
                " directory of the keys it takes; give both or neither"
            )
        return self


class WorkerKeySettings(Section):
    """Keys of a worker, made with `erasurehead keys new` (docs/security.md)."""

    secret: Path | None = Field(None, description="the worker's own secret key")
    master: Path | None = Field(
        None, description="the master's public key (*.pub); the worker talks to no other master"
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> WorkerKeySettings:
        if (self.secret is None) != (self.master is None):
            raise ValueError(
                "keys.secret and keys.master belong together: the worker's own key, and the"
                " master's public one; give both or neither"
            )
        return self


class HttpSettings(Section):
    """Metrics and health over HTTP, off unless an address is given."""

    bind: str | None = Field(
        None,
        description="address of /metrics, /healthz and /readyz: host:port, or a port for loopback"
        " [default: none]",
    )
    stalled_after_s: PositiveSeconds = Field(
        60.0, description="seconds without a turn of the loop after which /healthz says 503"
    )


class MasterHttpSettings(HttpSettings):
    """The same for the master."""

    linger: bool = Field(
        False,
        description="when all rounds are done the master goes on answering until SIGTERM, so"
        " that a supervisor that restarts ended processes (Kubernetes) lets it rest",
    )


class TreeSettings(BaseModel):
    """A root of the tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_yaml(self) -> str:
        """Return the effective settings as YAML that `load` reads back."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

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


class WorkerSettings(TreeSettings):
    """One worker."""

    connect: str = Field("tcp://127.0.0.1:5577", description="the master's address")
    name: str | None = Field(
        None, description="name that outlives the process [default: host name and process id]"
    )
    slot: int | None = Field(None, ge=0, description="slot this worker would like to have")
    store: str | None = Field(
        None, description="where this machine has the store [default: as the master says]"
    )
    cache: Path | None = Field(None, description="directory for streamed rows, kept by digest")
    retry_limit_s: float | None = Field(
        None, gt=0, description="seconds without a master before giving up [default: never]"
    )
    keys: WorkerKeySettings = WorkerKeySettings()
    http: HttpSettings = HttpSettings()

    @model_validator(mode="after")
    def _address_is_one(self) -> WorkerSettings:
        check_address("connect", self.connect, listens=False)
        return self
