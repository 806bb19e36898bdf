"""Runs come out as they did when they were recorded, at commit 2b43c8b.

What numpy computes may differ in the last bit from one processor to another, since BLAS and numpy
choose their kernels by it. So the recorder kept a *fingerprint*, a digest of a small computation
with the same kernels. On a machine of the same fingerprint these tests compare bit for bit: who
arrived when, every number of every round, and the SHA-256 of the model after each round. On any
other machine they compare numbers to a relative 1e-9 (absolute 1e-12; AUC and accuracy, which count
pairs and rows, to 0.01), leave digests out, and still ask for the same arrivals, stragglers and
reasons.

``python -m tests.golden.record`` records them anew.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from tests.golden import golden_runs as golden

SIMULATED = golden.read(golden.SIMULATED)
OVER_SOCKETS = golden.read(golden.OVER_SOCKETS)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> golden.Scene:
    return golden.Scene(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def same_kernels() -> bool:
    return bool(golden.fingerprint() == SIMULATED["fingerprint"])


def assert_same(kept: golden.Kept, recorded: dict[str, Any], *, bitwise: bool) -> None:
    found = golden.differences(golden.as_json(kept), recorded, bitwise=bitwise)
    # The first few are enough: after one round that differs, all do.
    first = list(islice(found, 5))
    assert not first, "\n".join(first)


def test_the_made_up_stores_are_those_of_the_recorder(scene: golden.Scene) -> None:
    assert scene.digests() == SIMULATED["stores"] == OVER_SOCKETS["stores"]


def test_every_recorded_run_is_run() -> None:
    assert golden.names_of(golden.SIMULATIONS) == list(SIMULATED["runs"])
    assert golden.names_of(golden.REAL_RUNS) == list(OVER_SOCKETS["runs"])


@pytest.mark.parametrize("case", golden.SIMULATIONS, ids=golden.names_of(golden.SIMULATIONS))
def test_a_simulation_comes_out_as_recorded(
    case: golden.Case, scene: golden.Scene, same_kernels: bool
) -> None:
    kept = golden.run_simulated(case, scene)
    assert_same(kept, SIMULATED["runs"][case.name], bitwise=same_kernels)


@pytest.mark.parametrize("case", golden.REAL_RUNS, ids=golden.names_of(golden.REAL_RUNS))
def test_a_run_over_sockets_comes_out_as_recorded(
    case: golden.Case, scene: golden.Scene, same_kernels: bool
) -> None:
    """What is kept of these does not depend on who came first, or only in the last bits."""
    kept = golden.run_over_sockets(case, scene)
    assert_same(kept, OVER_SOCKETS["runs"][case.name], bitwise=same_kernels and case.ordered)
