"""Traces with compute times, and other runs of the same cluster drawn from one trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from erasurehead.errors import DataError, UsageError
from erasurehead.straggling import DELAYS

DELAYS_S = np.arange(20.0).reshape(10, 2)
COMPUTE_S = np.full((10, 2), 0.5)


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path / "trace.npz", **arrays)
    return path / "trace.npz"


def test_compute_times_are_added_in_proportion_to_the_load(tmp_path: Path) -> None:
    file = write(tmp_path, delays_s=DELAYS_S, compute_s=COMPUTE_S, compute_share=[0.5, 0.25])
    plain = DELAYS.build(f"trace:file={file}", 2, 0)
    assert plain.delays_s(3, 0.5).tolist() == [4.0, 5.0]
    computing = DELAYS.build(f"trace:file={file},compute=yes", 2, 0)
    assert computing.delays_s(3, 0.5).tolist() == [4.5, 6.0]
    assert computing.delays_s(3, np.array([1.0, 0.25])).tolist() == [5.0, 5.5]


def test_blocks_are_runs_of_recorded_rounds_drawn_by_the_seed(tmp_path: Path) -> None:
    file = write(tmp_path, delays_s=DELAYS_S)
    rows = {}
    for seed in (0, 1):
        model = DELAYS.build(f"trace:file={file},block=3", 2, seed)
        rows[seed] = [int(model.delays_s(t, 1.0)[0]) // 2 for t in range(1, 301)]
        for block in np.reshape(rows[seed], (100, 3)):
            assert np.diff(block).tolist() in ([1, 1], [1, -9], [-9, 1])
        # Any order may be asked for.
        assert int(model.delays_s(5, 1.0)[0]) // 2 == rows[seed][4]
    assert rows[0] != rows[1]
    assert set(rows[0]) == set(range(10))


@pytest.mark.parametrize(
    ("arrays", "options", "sentence"),
    [
        ({}, "compute=yes", "has no compute times"),
        ({"compute_s": COMPUTE_S}, "compute=yes", "has no compute times"),
        ({"compute_s": COMPUTE_S[:5], "compute_share": 1.0}, "compute=yes", "expected the same"),
        ({"compute_s": -COMPUTE_S, "compute_share": 1.0}, "compute=yes", "negative"),
        ({"compute_s": COMPUTE_S, "compute_share": 0.0}, "compute=yes", "compute_share of shape"),
    ],
)
def test_bad_compute_times_are_one_sentence(
    arrays: dict[str, Any], options: str, sentence: str, tmp_path: Path
) -> None:
    file = write(tmp_path, delays_s=DELAYS_S, **arrays)
    with pytest.raises(DataError, match=sentence):
        DELAYS.build(f"trace:file={file},{options}", 2, 0)


def test_a_block_needs_a_round(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="block=0 of delay model 'trace' must be 1 round or more"):
        DELAYS.build(f"trace:file={write(tmp_path, delays_s=DELAYS_S)},block=0", 2, 0)
