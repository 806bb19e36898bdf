"""What must fit together before a run begins, one check a function."""

from __future__ import annotations

from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import EXACT_ERROR, Decoder
from erasurehead.errors import UsageError
from erasurehead.schemes.scheme import Scheme


def check_sizes(n_workers: int, n_tasks: int | None) -> None:
    """Raise UsageError unless there are workers, and tasks if their number is given."""
    if n_workers < 1:
        raise UsageError(f"{n_workers} workers cannot run a code; use at least 1")
    if n_tasks is not None and n_tasks < 1:
        raise UsageError(f"{n_tasks} tasks cannot be coded; use at least 1")


def check_every_task_is_held(scheme: Scheme, code: GradientCode) -> None:
    """Raise UsageError if every round would wait for a task that no worker holds."""
    n_idle = int((code.replication == 0).sum())
    if n_idle:
        raise UsageError(
            f"code '{scheme.code}' was drawn with {n_idle} of {code.n_tasks} tasks on none of"
            f" the {code.n_workers} workers, so stop rule '{scheme.stop}' can never be met; use a"
            " larger load, another seed or another stop rule"
        )


def check_parts_are_told_apart(scheme: Scheme, decoder: Decoder) -> None:
    """Raise UsageError if parts of a slot's answer arrive alone, and the decoder weighs slots."""
    if decoder.code.counts_parts and not decoder.sums_first_copies:
        raise UsageError(
            f"decoder '{scheme.decoder}' weighs whole results of workers, and code '{scheme.code}'"
            " sends the gradient of each task by itself; use first-copy, or leave parts=tasks out"
        )


def check_all_arrivals_are_exact(scheme: Scheme, decoder: Decoder) -> None:
    """Raise UsageError if every round would wait for a gradient that the decoder never gets.

    `decoder` is between two rounds, and is so again afterwards.
    """
    decoder.begin()
    for symbol in range(decoder.code.n_symbols):
        decoder.arrive(symbol)
    exact = decoder.exact and decoder.finish().decode_error <= EXACT_ERROR
    decoder.begin()
    if not exact:
        raise UsageError(
            f"decoder '{scheme.decoder}' does not get the full gradient of code '{scheme.code}'"
            f" even when all {decoder.code.n_workers} workers arrive, so stop rule"
            f" '{scheme.stop}' can never be met; use {decoder.instead_of_exact}"
        )
