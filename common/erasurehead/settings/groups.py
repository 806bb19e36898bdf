"""The groups of settings of the machinery: workers, messages, checkpoints, limits, keys, HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from erasurehead.settings.parts import DifferencesText, FormatText
from erasurehead.settings.section import Section
from erasurehead.wire.sizes import MAX_FRAME_BYTES, MAX_HEADER_BYTES

PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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

    format: FormatText = Field(
        "auto",
        description="vector format of models and gradients on the wire (auto is the shortest whose"
        " rounding is far below what erasures cost: f4 for agc without a cache, uncoded with r,"
        " and where models travel as differences, f8 elsewhere)",
    )
    differences: DifferencesText = Field(
        "auto",
        description="vector format in which a model travels as its difference from that of the"
        " round before, to workers that have that one; what rounding takes from one comes with the"
        " next (auto is f12 for optimizers that follow what a cache remembers, as anchored-lbfgs"
        " does; none for others)",
    )
    dense_share: float = Field(
        0.7,
        ge=0,
        le=1,
        description="share of all columns above which a worker's support counts as dense",
    )
    max_frame_bytes: int = Field(
        MAX_FRAME_BYTES,
        ge=MAX_HEADER_BYTES,
        le=MAX_FRAME_BYTES,
        description="largest frame accepted, in bytes; a run whose own are larger is refused",
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
        60.0,
        description="seconds to wait for all workers before round 1; then the run starts with"
        " min_workers, or, if that is not given, ends (exit code 3)",
    )
    heartbeat_interval_s: PositiveSeconds = Field(
        1.0, description="seconds between signs of life of an otherwise silent peer"
    )
    silence_limit_s: PositiveSeconds = Field(
        5.0, description="seconds without any message after which a worker's slot is free"
    )
    empty_limit_s: PositiveSeconds = Field(
        60.0,
        description="seconds without any worker after which the run ends (exit code 3); if"
        " min_workers is given, also seconds before round 1 with fewer, max_wait_s at least",
    )
    set_aside_after: int = Field(
        3,
        ge=1,
        description="malformed or non-finite results after which the master sets a worker aside",
    )
    drain_s: float = Field(
        5.0,
        ge=0,
        allow_inf_nan=False,
        description="seconds that the open round may still take when the master is asked to end"
        " (SIGTERM, SIGHUP); then the master gives it up and keeps the last one that closed",
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
