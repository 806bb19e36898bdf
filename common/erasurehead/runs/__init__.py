"""A run on disk: written as it goes, read back whole.

===============  ==================================================================
``config.yaml``  the effective settings, written before anything else
``rounds.jsonl`` one RoundRecord a line, handed to the system as each round closes
``events.log``   one notice a line: time (UTC), level, text
``model.npz``    ``theta`` and what made it (docs/predicting.md), replaced as a whole
``summary.json`` how the run ended, written last and at once
``run.lock``     there while a process works on the run
===============  ==================================================================

A directory without ``summary.json`` is a run that is going on or was cut off; it is never taken
for a whole one. JSON has no NaN and no infinity: both are written as null and read as NaN.
"""

from erasurehead.runs.claim import Claim
from erasurehead.runs.lines import lines_beyond, recorded_rounds
from erasurehead.runs.origin import Origin
from erasurehead.runs.reader import Run
from erasurehead.runs.writer import RunWriter

__all__ = ["Claim", "Origin", "Run", "RunWriter", "lines_beyond", "recorded_rounds"]
