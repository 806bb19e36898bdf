"""Probabilities that are used as if they were known."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray

LEAST_PROBABILITY = 1e-4
"""Estimates and options stay this far from 0 and 1, so that 1/(1-p) and (1-p)/p stay finite."""


def away_from_certainty(probabilities: FloatArray) -> FloatArray:
    """Return probabilities, of the same shape, no closer to 0 and 1 than `LEAST_PROBABILITY`."""
    return np.clip(probabilities, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
