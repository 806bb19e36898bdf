"""What is remembered where some slots are never heard."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import DecoderContext
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.coded_vector import CodedVector

WORKERS, ARRIVALS, PARAMETERS = 12, 4, 5


def estimates(code: GradientCode, n_silent: int, gradients: FloatArray) -> list[FloatArray]:
    """Return the estimates of rounds at one model, in which slots arrive in turns but for some."""
    estimate = ESTIMATES.build("sag", code, PARAMETERS, False)
    decoder = DECODERS.build("least-squares", code, DecoderContext())
    coded = code.matrix @ gradients
    everywhere = np.arange(PARAMETERS)
    found = []
    for round_ in range(WORKERS):
        estimate.begin()
        decoder.begin()
        for i in range(ARRIVALS):
            slot = n_silent + (ARRIVALS * round_ + i) % (WORKERS - n_silent)
            support = everywhere if slot % 2 else None
            for symbol in code.symbols(slot):
                vector = CodedVector(symbol, support, coded[symbol])
                estimate.take(vector, decoder.arrive(symbol))
        gradient, _ = estimate.finish(decoder.finish())
        found.append(gradient.copy())
        estimate.absorb()
    return found


@pytest.mark.parametrize(
    ("spec", "n_silent"),
    [
        ("cyclic-mds:s=3", 0),
        ("cyclic-mds:s=3", 3),
        ("cyclic-mds:s=2,field=complex", 2),
        ("cyclic-repetition:s=2", 2),
        ("reed-solomon:s=2", 2),
        ("regular:c=4", 1),
        ("graph:d=3", 1),
    ],
)
def test_slots_that_a_code_tolerates_take_nothing_away(spec: str, n_silent: int) -> None:
    code = CODES.build(spec, WORKERS, None, np.random.default_rng(1))
    gradients = np.random.default_rng(2).standard_normal((code.n_tasks, PARAMETERS))
    last = estimates(code, n_silent, gradients)[-1]
    np.testing.assert_allclose(last, gradients.sum(axis=0), rtol=1e-9, atol=1e-9)
