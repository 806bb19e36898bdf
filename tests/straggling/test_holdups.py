"""Who is late by chance, and who always is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from erasurehead.records import Arrival, Late, RoundRecord
from erasurehead.straggling.holdups import HoldUps
from erasurehead_master.run.naming import Naming
from tests.support.played_runs import make_record

K = 10


def rounds(
    n: int, wait_for: int, slow: int | None = None, seed: int = 0, workers: tuple[str, ...] = ()
) -> list[RoundRecord]:
    """Rounds of exponential delays that close at an arrival; one slot is much slower."""
    rng = np.random.default_rng(seed)
    found = []
    opened_s = 0.0
    for round_ in range(1, n + 1):
        after_s = rng.exponential(1.0, K)
        if slow is not None:
            after_s[slow] += 5.0
        order = np.argsort(after_s)
        came, late = order[:wait_for], order[wait_for:]
        arrivals = tuple(Arrival(int(s), float(after_s[s])) for s in came)
        found.append(_record(round_, opened_s, arrivals, tuple(late.tolist()), workers))
        opened_s = found[-1].closed_s
    return found


def _record(
    round_: int,
    opened_s: float,
    arrivals: tuple[Arrival, ...],
    late: tuple[int, ...],
    workers: tuple[str, ...],
) -> RoundRecord:

    plain = make_record(round_, 1.0, K)
    return replace(
        plain,
        arrivals=arrivals,
        stragglers=late,
        opened_s=opened_s,
        closed_s=opened_s + arrivals[-1].after_s,
        step_s=0.0,
        workers=workers if round_ == 1 else (),
    )


@pytest.mark.parametrize("wait_for", [1, 3, 7, 10])
@pytest.mark.parametrize("seed", range(2))
def test_equal_workers_are_late_by_chance_only(wait_for: int, seed: int) -> None:
    holdups = HoldUps()
    for record in rounds(400, wait_for, seed=seed):
        assert holdups.round_over(record) == []
    shares = [slot.late_share for slot in holdups.all()]
    if wait_for < K:
        assert np.mean(shares) >= 1 - wait_for / K


@pytest.mark.parametrize("wait_for", [3, 7, 10])
def test_a_slow_worker_is_named_once_by_its_name(wait_for: int) -> None:
    """Where rounds wait for it (10 of 10) it is late as well: it comes long after the median."""
    holdups, told = HoldUps(), []
    names = tuple(f"w{i}" for i in range(K))
    for record in rounds(400, wait_for, slow=4, workers=names):
        told += holdups.round_over(record)
    (slot,) = told
    assert slot.called == "worker w4 (slot 4)"
    assert 20 <= slot.chronic_since < 200
    assert holdups.all()[0].slot == 4
    assert holdups.of(4).late_share > 0.9
    if wait_for == K:
        assert holdups.of(4).behind_s == pytest.approx(5.0, abs=0.5)


def test_a_worker_that_recovers_is_told_of_too() -> None:
    naming = Naming()
    slow, well = rounds(60, 7, slow=4), rounds(200, 7)
    said = [text for r in [*slow, *well] for _, text in naming.of(r, exact=False)]
    assert len(said) == 2
    assert said[0].startswith("slot 4 has become a chronic straggler: late in")
    assert said[1] == "slot 4 keeps up again"
    assert naming.hold_ups.of(4).spells == 1


def test_who_is_gone_is_known_by_its_last_name() -> None:
    holdups = HoldUps()
    first, second = rounds(2, 7, workers=("a", "b"))

    holdups.round_over(first)
    holdups.round_over(replace(second, workers=("a", "")))
    assert (holdups.of(1).worker, holdups.of(1).gone_since) == ("b", 2)
    assert holdups.all()[0].slot == 1
    holdups.round_over(replace(second, round=3, workers=("a", "c")))
    assert (holdups.of(1).worker, holdups.of(1).gone_since) == ("c", 0)


def test_an_exact_scheme_that_goes_on_without_tasks_says_so_once() -> None:

    naming = Naming()
    every = rounds(6, 10, workers=tuple(f"w{i}" for i in range(K)))
    every[2:4] = [
        replace(
            r,
            arrivals=r.arrivals[:-1],
            erased_tasks=2,
            workers=tuple("" if i == every[2].arrivals[-1].slot else f"w{i}" for i in range(K)),
        )
        for r in every[2:4]
    ]
    said = [text for r in every for _, text in naming.of(r, exact=True)]
    gone = every[2].stragglers or (set(range(K)) - {a.slot for a in every[2].arrivals})
    (slot,) = gone
    assert said == [
        f"round 3 of an exact scheme went on without worker w{slot} (slot {slot}): 2 tasks are"
        " missing in its gradient, and in those after it until a worker has their rows",
        "round 5 has the full gradient again",
    ]
    assert not list(Naming().of(every[2], exact=False))


def short_rounds(n: int, behind_s: float) -> list[RoundRecord]:
    """Rounds of 0.3 ms that close at the third of four arrivals; slot 3 comes `behind_s` later.

    Its results are heard of while a later round is open, for it never drops its work.
    """
    found: list[RoundRecord] = []
    for round_ in range(1, n + 1):
        opened_s = 3e-4 * round_
        arrivals = tuple(Arrival(slot, 1e-4 * (slot + 1)) for slot in range(3))
        record = _record(round_, opened_s, arrivals, (3,), ())
        due = [
            r for r in found[-100:] if opened_s < r.opened_s + 2e-4 + behind_s <= record.closed_s
        ]
        late = tuple(Late(3, r.round, 2e-4 + behind_s) for r in due)
        found.append(replace(record, late=late))
    return found


def test_nobody_is_called_a_straggler_for_less_than_noise() -> None:
    """In rounds of a millisecond somebody is always last, by what costs nobody anything."""
    holdups = HoldUps()
    for record in short_rounds(6000, behind_s=0.002):
        assert holdups.round_over(record) == []
    assert holdups.of(3).late_share == 1.0


def test_a_straggler_of_short_rounds_is_named_still() -> None:
    holdups, told = HoldUps(), []
    for record in short_rounds(6000, behind_s=0.02):
        told += holdups.round_over(record)
    assert [slot.slot for slot in told] == [3]


def test_a_slot_that_is_never_heard_of_is_named_in_short_rounds_too() -> None:
    holdups, told = HoldUps(), []
    for record in short_rounds(6000, behind_s=1e9):
        told += holdups.round_over(record)
    assert [slot.slot for slot in told] == [3]


def test_a_clock_that_begins_again_leaves_nothing_open_for_good() -> None:
    """A run that goes on in another process may count its seconds anew."""
    holdups = HoldUps()
    late = replace(short_rounds(1, behind_s=1e9)[0], opened_s=1e6, closed_s=1e6 + 1e-4)
    told = holdups.round_over(late)
    for record in short_rounds(6000, behind_s=1e9)[1:]:
        told += holdups.round_over(record)
    assert [slot.slot for slot in told] == [3]


def test_a_hiccup_of_a_machine_is_not_chronic() -> None:
    """A hundred rounds of 0.3 ms are 30 ms, for which a kernel may well forget a process."""
    holdups = HoldUps()
    well = short_rounds(6000, behind_s=1.5e-4)
    for record in [*short_rounds(100, behind_s=1e9), *well[100:]]:
        assert holdups.round_over(record) == []
