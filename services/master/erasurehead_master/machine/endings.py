"""How a run can end: with which exit code, in which words, and what workers are told."""

from __future__ import annotations

from dataclasses import dataclass

from erasurehead.errors import (
    EXIT_DIVERGED,
    EXIT_INTERRUPTED,
    EXIT_NO_WORKERS,
    EXIT_OK,
)
from erasurehead.wire.messages import StopCode


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run.

    Attributes
    ----------
    exit_code: of the master.
    reason: one sentence.
    code: of the STOP that workers get.
    handover: workers get HANDOVER instead, if a successor goes on with the run.
    """

    exit_code: int
    reason: str
    code: StopCode = "finished"
    handover: bool = False


def done(rounds: int) -> Ending:
    """Return the end after the last round."""
    return Ending(EXIT_OK, f"all {rounds} rounds done")


def enough(reason: str) -> Ending:
    """Return the end of a run that is done before its last round."""
    return Ending(EXIT_OK, reason)


def asked(reason: str) -> Ending:
    """Return an end that was asked for and leaves the master time to close the open round."""
    return Ending(EXIT_OK, reason, handover=True)


def interrupted(reason: str) -> Ending:
    """Return the end that a user wished for at once."""
    return Ending(EXIT_INTERRUPTED, reason)


def diverged(reason: str) -> Ending:
    """Return the end of a run whose model would soon not be finite."""
    return Ending(EXIT_DIVERGED, reason, "diverged")


def most_diverged(round_: int) -> Ending:
    """Return the end of a run in which most workers say so."""
    return diverged(
        f"the run diverged in round {round_}: most workers' gradients are not finite; take a"
        " smaller --step"
    )


def too_few(n_ready: int, n_workers: int, needed: int, waited_s: float, limit: str) -> Ending:
    """Return the end before the first round, for want of workers."""
    return Ending(
        EXIT_NO_WORKERS,
        f"only {n_ready} of {n_workers} workers were ready after {waited_s:g} s and {needed} are"
        f" needed; start more workers, raise membership.{limit} or lower membership.min_workers",
        "abandoned",
    )


def nobody_there(limit_s: float, round_: int) -> Ending:
    """Return the end of a run that all workers have left, after some time."""
    return Ending(
        EXIT_NO_WORKERS,
        f"no worker was there for {limit_s:g} s, so the run ends in round {round_}; start workers"
        " or raise membership.empty_limit_s",
        "abandoned",
    )


def nobody_left(round_: int) -> Ending:
    """Return the end of a run whose workers have all ended, and to which no other can come."""
    where = f"in round {round_}" if round_ else "before its first round"
    return Ending(
        EXIT_NO_WORKERS,
        f"all workers of this run have ended, so it ends {where}; see above why they did",
        "abandoned",
    )
