"""Which slots hold a run up: how late each is now and over the run, chronically or by chance.

A slot that took part in a round was *late* in it if its result did not come before the round
closed, or came after twice the median time of those that did. Where rounds do not wait, every slot
is late now and then, and equal ones equally often. So a slot counts as a *chronic* straggler only
where chance does not explain it beside the median slot. Nor does it where a round was over too soon
for anybody to be slow: a slot that is heard of within `CLEAR_S` after the median arrival, by its
result of that round or of a newer one, was late by noise. And what passes within `ENDURING_S` is a
hiccup of its machine, however many rounds that were. Pure: no clock, no I/O.

Short rounds are looked at several together, since one alone takes three times as long between two
rounds of a run, where other work has just filled the processor's caches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.records import RoundRecord

FORGETTING = 0.98
"""Weight of a round beside the next one, in what is said of now."""

MEMORY_ROUNDS = (1 + FORGETTING) / (1 - FORGETTING)
"""Rounds that an average with this weight is worth."""

FEWEST_ROUNDS = 20
"""To have seen of a slot before anything is said of it."""

LATE = 2.0
"""Times the median arrival."""

CLEAR_S = 0.005
"""Behind the median; less may be noise."""

CHANCE = 1e-6
"""That a slot like the others is late so many rounds in a row."""

ENDURING_S = 1.0
"""For which chance does not explain a slot's lateness, before that is called chronic."""

TOGETHER_S = 0.05
MOST_TOGETHER = 32
"""Rounds wait to be looked at together, for so long and so many at most."""

MOST_OPEN = 64
"""Rounds whose late slots may still be heard of, at most."""

_ROUNDS = 0
"""The column of sums that counts rounds."""
_UNKNOWN = math.nan, math.nan


@dataclass(frozen=True, slots=True)
class HoldUp:
    """What is known of one slot.

    Attributes
    ----------
    worker: what the process that had it last is called; empty: unknown.
    rounds: that it was sent.
    late_now, late_share: share of rounds in which it was late, of the last ones and of all.
    behind_now_s, behind_s: seconds behind the median arrival, of the last rounds and of all, at
        least: what did not come counts as if it had come when its round closed.
    chronic_since: the round since which it is a chronic straggler; 0: it is none.
    spells: how often it became one.
    gone_since: the round since which no worker has the slot; 0: one has it.
    """

    slot: int
    worker: str
    rounds: int
    late_now: float
    late_share: float
    behind_now_s: float
    behind_s: float
    chronic_since: int
    spells: int
    gone_since: int

    @property
    def called(self) -> str:
        """The slot, and its worker's name if it is known."""
        return f"worker {self.worker} (slot {self.slot})" if self.worker else f"slot {self.slot}"


@dataclass(slots=True)
class _Open:
    """A round of which it is not known yet who was late by more than noise.

    Attributes
    ----------
    noise_s: seconds after its opening until which being late is noise.
    due_s: the same on the clock of the run.
    slots: that took part, those that arrived first.
    counted: one round of each, and whether it was late in it, shape (slots, 2).
    n_arrived: how many arrived.
    """

    noise_s: float
    due_s: float
    slots: Array
    counted: FloatArray
    n_arrived: int


class HoldUps:
    """Follows the rounds of a run.

    Attributes
    ----------
    workers: what the worker of each slot is called, as it was told last; empty: there is none.
    """

    def __init__(self) -> None:
        self.workers: tuple[str, ...] = ()
        self._unread: list[RoundRecord] = []
        """Rounds that were not looked at yet."""
        self._news: list[HoldUp] = []
        """What was found by looking at rounds, and was not returned yet."""
        self._begin(0)

    def round_over(self, record: RoundRecord) -> list[HoldUp]:
        """Take a round; return the slots that have become chronic stragglers, or are so no more.

        What is to be told of a round may be returned with a later one, or by `rest`.
        """
        self._unread.append(record)
        waited_s = record.closed_s - self._unread[0].opened_s
        if 0 <= waited_s < TOGETHER_S and len(self._unread) < MOST_TOGETHER:
            return []
        return self.rest()

    def rest(self) -> list[HoldUp]:
        """Return what is to be told of the rounds so far, and was not returned yet."""
        self._catch_up()
        news, self._news = self._news, []
        return news

    def _catch_up(self) -> None:
        unread, self._unread = self._unread, []
        for record in unread:
            self._news += self._look_at(record)

    def _look_at(self, record: RoundRecord) -> list[HoldUp]:
        arrivals = record.arrivals
        taken = [a.slot for a in arrivals]
        n_slots = max(1 + max([*taken, *record.stragglers], default=-1), len(record.workers))
        if record.load_shares and len(record.load_shares) != self._n:
            self._begin(len(record.load_shares))  # of another code, whose slots are others
        if n_slots > self._n:
            self._grow(n_slots)
        if record.workers:
            self._note_workers(record)
        came_s = [a.after_s for a in arrivals]
        median_s = _median(came_s) if came_s else record.duration_s
        closed_s = record.duration_s - record.step_s
        slots = np.array([*taken, *record.stragglers], dtype=np.int64)
        folded = np.empty((len(slots), 3))
        ones, late, behind_s = folded.T
        ones[:] = 1.0
        behind_s[: len(taken)] = came_s
        behind_s[len(taken) :] = closed_s
        behind_s -= median_s
        late[:] = behind_s > max(CLEAR_S, (LATE - 1) * median_s)
        late[len(taken) :] = 1.0
        np.maximum(behind_s, 0.0, out=behind_s)
        self._ever[slots] += folded
        self._now[slots] = FORGETTING * self._now[slots] + folded
        noise_s = median_s + CLEAR_S
        due_s = record.opened_s + noise_s if len(slots) > len(taken) else record.opened_s
        of = _Open(noise_s, due_s, slots, folded[:, :2], len(taken))
        if self._open or due_s > record.closed_s:
            self._open[record.round] = of
            self._settle(record)
        else:
            self._count(of)
        self._heard[taken] = record.round
        return self._judge(record.round, record.closed_s)

    def of(self, slot: int) -> HoldUp:
        """Return what is known of a slot."""
        self._catch_up()
        return self._known_of(slot)

    def _known_of(self, slot: int) -> HoldUp:
        rounds = int(self._ever[slot, _ROUNDS])
        # Shares and means, of all rounds and of the last ones: NaN without any.
        late_now, behind_now_s = _means(self._now[slot]) if rounds else _UNKNOWN
        late, behind_s = _means(self._ever[slot]) if rounds else _UNKNOWN
        named = self.workers[slot] if slot < len(self.workers) else ""
        return HoldUp(
            slot=slot,
            worker=named or self._last_names.get(slot, ""),
            rounds=rounds,
            late_now=late_now,
            late_share=late,
            behind_now_s=behind_now_s,
            behind_s=behind_s,
            chronic_since=int(self._chronic[slot]),
            spells=int(self._spells[slot]),
            gone_since=self._gone.get(slot, 0),
        )

    def all(self) -> list[HoldUp]:
        """Return what is known of each slot, the one that holds the run up most first."""
        self._catch_up()
        found = [self._known_of(slot) for slot in range(self._n)]
        return sorted(found, key=lambda s: (s.gone_since == 0, -_or_zero(s.late_now), s.slot))

    # Bookkeeping

    def _settle(self, record: RoundRecord) -> None:
        """Count the rounds of which it is now known who was late by more than noise."""
        for late in record.late:
            of = self._open.get(late.round)
            if of is not None and late.after_s <= of.noise_s:
                self._heard[late.slot] = max(self._heard[late.slot], late.round)
        came_s = np.full(self._n, np.inf)
        came_s[[a.slot for a in record.arrivals]] = [
            record.opened_s + a.after_s for a in record.arrivals
        ]
        while self._open:
            round_, of = next(iter(self._open.items()))
            if of.due_s > record.closed_s and len(self._open) <= MOST_OPEN:
                break
            del self._open[round_]
            missed = of.slots[of.n_arrived :]
            heard = (self._heard[missed] >= round_) | (came_s[missed] <= of.due_s)
            of.counted[of.n_arrived :][heard, 1] = 0.0
            self._count(of)

    def _count(self, of: _Open) -> None:
        slots = of.slots
        self._judged[slots] = FORGETTING * self._judged[slots] + of.counted
        self._seen[slots] += 1
        self._row[slots] = np.where(of.counted[:, 1] > 0, self._row[slots] + 1, 0)

    def _begin(self, n_slots: int) -> None:
        self._n = 0
        self._ever = self._now = np.zeros((0, 3))
        """Of each slot: rounds, late ones, and seconds behind; of all rounds, and of the last."""
        self._judged = np.zeros((0, 2))
        """Of each slot, of the last settled rounds: rounds, and those late beyond noise."""
        self._seen = self._heard = np.zeros(0, dtype=np.int64)
        """Settled rounds, and the newest round of which a result has come."""
        self._row = self._chronic = self._spells = np.zeros(0, dtype=np.int64)
        """Late rounds without another between them, `HoldUp.chronic_since`, `HoldUp.spells`."""
        self._suspect_s = np.zeros(0)
        """On the clock of the run: since when chance does not explain a slot's lateness."""
        self._open: dict[int, _Open] = {}
        self._gone: dict[int, int] = {}
        self._last_names: dict[int, str] = {}
        self._grow(n_slots)

    def _grow(self, n_slots: int) -> None:
        more = n_slots - self._n
        self._n = n_slots
        self._ever, self._now, self._judged = (
            np.append(sums, np.zeros((more, sums.shape[1])), axis=0)
            for sums in (self._ever, self._now, self._judged)
        )
        self._suspect_s = np.append(self._suspect_s, np.full(more, np.inf))
        for name in ("seen", "heard", "row", "chronic", "spells"):
            zeros = np.zeros(more, dtype=np.int64)
            setattr(self, f"_{name}", np.append(getattr(self, f"_{name}"), zeros))

    def _note_workers(self, record: RoundRecord) -> None:
        for slot, name in enumerate(record.workers):
            before = self.workers[slot] if slot < len(self.workers) else ""
            if name:
                self._gone.pop(slot, None)
                self._last_names[slot] = name
            elif before:
                self._gone[slot] = record.round
        self.workers = record.workers

    def _judge(self, round_: int, now_s: float) -> list[HoldUp]:
        weight, late_now = self._judged.T
        # As below, but quicker: nearly always nobody is a chronic straggler, or about to be one.
        suspicious = (late_now >= 0.5 * weight) | (self._row >= FEWEST_ROUNDS) | (self._chronic > 0)
        if not suspicious.any():
            self._suspect_s.fill(np.inf)
            return []
        rounds = self._seen
        known = rounds >= FEWEST_ROUNDS
        if known.sum() < 2:
            return []
        share = np.divide(late_now, weight, out=np.zeros(self._n), where=known)
        usual = min(max(_median(share[known].tolist()), 1 / MEMORY_ROUNDS), 1 - 1 / MEMORY_ROUNDS)
        worth = np.minimum(np.maximum(rounds, 1), MEMORY_ROUNDS)
        spread = np.sqrt(usual * (1 - usual) / worth)
        in_a_row = max(FEWEST_ROUNDS, math.log(CHANCE) / math.log(usual))
        chronic = known & ((share >= np.maximum(0.5, usual + 6 * spread)) | (self._row >= in_a_row))
        over = (self._row == 0) & (share < usual + 2 * spread)
        self._suspect_s = np.where(chronic, np.minimum(self._suspect_s, now_s), np.inf)
        begun = (self._chronic == 0) & (now_s - self._suspect_s >= ENDURING_S)
        ended = (self._chronic > 0) & over
        self._chronic[begun] = round_
        self._spells[begun] += 1
        self._chronic[ended] = 0
        return [self._known_of(slot) for slot in np.flatnonzero(begun | ended).tolist()]


def _means(sums: FloatArray) -> tuple[float, float]:
    rounds, late, behind_s = sums.tolist()
    return late / rounds, behind_s / rounds


def _median(numbers: list[float]) -> float:
    """Return what `np.median` does, which takes ten times as long for a few numbers."""
    ordered = sorted(numbers)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _or_zero(number: float) -> float:
    return 0.0 if math.isnan(number) else number
