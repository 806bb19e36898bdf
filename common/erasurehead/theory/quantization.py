"""What sending fewer bits would do to codes for unequal stragglers (arXiv 2605.15890).

Slot i sends its coded gradient v with b_i bits a coordinate through an unbiased stochastic uniform
quantiser Q: one sign bit and 2^b - 1 levels of |v| / ||v||. Then E||Q(v) - v||^2 <= omega_i ||v||^2
with omega_i = D / (2^(b_i) - 1)^2, and the error of fixed weights is as in `allocation`, with
(p_i + omega_i) / (1 - p_i) in place of p_i / (1 - p_i).
"""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray, IntArray


def relative_variance(bits: IntArray, spread: float) -> FloatArray:
    """Return omega_i = D / (2^b_i - 1)^2, shape (k,), infinite for no bits; D: parameters / 4."""
    levels = np.exp2(bits) - 1.0
    omega: FloatArray = np.full(levels.shape, np.inf)
    np.divide(spread, levels**2, out=omega, where=levels > 0)
    return omega


def quantized_reliability(p: FloatArray, bits: IntArray, spread: float) -> FloatArray:
    """Return (1 - p_i) / (p_i + omega_i), which takes the place of (1 - p_i) / p_i; 0 if silent.

    The least error of fixed weights is n^2 over the sum of it. All arrays have the shape (k,).
    """
    return (1.0 - p) / (p + relative_variance(bits, spread))


def best_bits(p: FloatArray, budget: int, spread: float) -> IntArray:
    """Return the b_i >= 0, shape (k,), that add up to `budget` and make reliabilities add up most.

    Each slot's term is flat at first, so giving one bit at a time to the slot that gains most can
    fail; this is dynamic programming over slots and bits, O(k budget^2).
    """
    choices = np.arange(budget + 1)
    value = np.full(budget + 1, -np.inf)
    value[0] = 0.0
    taken = np.zeros((len(p), budget + 1), dtype=np.int64)
    for slot, late in enumerate(p):
        gain = quantized_reliability(np.full(budget + 1, late), choices, spread)
        renewed = np.full(budget + 1, -np.inf)
        for used in range(budget + 1):
            options = value[used::-1] + gain[: used + 1]
            taken[slot, used] = int(np.argmax(options))
            renewed[used] = options[taken[slot, used]]
        value = renewed
    bits = np.zeros(len(p), dtype=np.int64)
    left = budget
    for slot in reversed(range(len(p))):
        bits[slot] = taken[slot, left]
        left -= int(bits[slot])
    return bits
