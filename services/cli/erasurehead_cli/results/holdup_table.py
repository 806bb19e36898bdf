"""Who held a run up, as columns of a table and as sentences."""

from __future__ import annotations

import numpy as np

from erasurehead.errors import UsageError
from erasurehead.records import RoundRecord
from erasurehead.runs import Run
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling.holdups import HoldUp, HoldUps
from erasurehead_cli.results.number_format import percent, seconds
from erasurehead_master.watch.counterfactual import WaitingForAll

MOST_ROWS = 240


class Stragglers:
    """Follows the rounds of a run that is read.

    Parameters
    ----------
    settings: of the run, which say what delays were injected.
    """

    def __init__(self, settings: RunSettings) -> None:
        self.hold_ups = HoldUps()
        self._settings = settings
        self._waiting = WaitingForAll()

    @classmethod
    def of(cls, run: Run) -> Stragglers:
        """Read a run, finished or not.

        Raises
        ------
        DataError: it is damaged.
        """
        found = cls(run.settings)
        for record in run:
            found.round_over(record)
        return found

    def round_over(self, record: RoundRecord) -> None:
        """Take a round."""
        if record.load_shares:
            self._inject(np.array(record.load_shares))
        self.hold_ups.round_over(record)
        self._waiting.round_over(record)

    def columns(self) -> dict[str, list[str]]:
        """Return heading -> one cell a slot, the slot that holds the run up most first."""
        shown = [slot for slot in self.hold_ups.all() if slot.rounds or slot.gone_since]
        shown = shown[:MOST_ROWS]
        return {
            "worker": [slot.worker or "-" for slot in shown],
            "slot": [str(slot.slot) for slot in shown],
            "rounds": [str(slot.rounds) for slot in shown],
            "late now": [_share(slot.late_now) for slot in shown],
            "in all": [_share(slot.late_share) for slot in shown],
            "behind now": [seconds(slot.behind_now_s) for slot in shown],
            "mean": [seconds(slot.behind_s) for slot in shown],
            "state (round)": [_state(slot) for slot in shown],
        }

    def sentences(self) -> list[str]:
        """Say which workers are gone or chronic, and what waiting for all would have cost."""
        every = self.hold_ups.all()
        gone = [f"{s.called}, since round {s.gone_since}" for s in every if s.gone_since]
        chronic = [f"{s.called}, since round {s.chronic_since}" for s in every if _is_chronic(s)]
        said = [f"Gone: {'; '.join(gone)}."] if gone else []
        said.append(
            f"Chronic stragglers: {'; '.join(chronic)}." if chronic else "No chronic straggler."
        )
        took_s, waiting_s = self._waiting.compared.sum, self._waiting.waiting.sum
        if took_s > 0:
            said.append(
                f"Waiting for everybody would have taken at least {seconds(waiting_s)} where the"
                f" rounds that are compared took {seconds(took_s)}: {waiting_s / took_s:.2f} times"
                " as long."
            )
        return said

    def _inject(self, shares: np.ndarray) -> None:
        try:
            delays = self._settings.delays(len(shares))
        except UsageError:
            return  # a trace that is no longer there
        if not delays.delays_no_one:
            self._waiting.injected = lambda round_: delays.delays_s(round_, shares)


def _is_chronic(slot: HoldUp) -> bool:
    return bool(slot.chronic_since) and not slot.gone_since


def _share(share: float) -> str:
    return "-" if share != share else percent(share)


def _state(slot: HoldUp) -> str:
    if slot.gone_since:
        return f"gone since {slot.gone_since}"
    if slot.chronic_since:
        return f"chronic since {slot.chronic_since}"
    if slot.spells:
        return "chronic once" if slot.spells == 1 else f"chronic {slot.spells} times"
    return ""
