"""What the soak says of a run that leaks: a check that cannot fail is none."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "soak.py"
SAMPLES = 300


@pytest.fixture(scope="module")
def soak() -> ModuleType:
    spec = importlib.util.spec_from_file_location("soak", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("memory", "descriptors", "seconds", "flat"),
    [
        (0.0, 0.0, 0.0, True),
        (20e6, 0.0, 0.0, False),
        (0.0, 6.0, 0.0, False),
        (0.0, -6.0, 0.0, False),
        (0.0, 0.0, 0.25, False),
        (0.0, 0.0, -0.25, True),
    ],
)
def test_a_leak_is_seen_through_noise_and_outliers(
    soak: ModuleType, memory: float, descriptors: float, seconds: float, flat: bool
) -> None:
    """Growth over the whole run, under noise, a warm-up, and rounds that took for ever."""
    rng = np.random.default_rng(5)
    samples = []
    for i in range(SAMPLES):
        part = i / SAMPLES
        warm_up = 50e6 * max(0.0, 0.1 - part)
        slow = 5.0 if rng.random() < 0.1 else 0.0
        samples.append(
            (
                200 * i,
                80e6 + warm_up + memory * part + rng.normal(0, 1e6),
                40 + round(descriptors * part) + int(rng.integers(0, 3)),
                0.01 * (1 + seconds * part + rng.normal(0, 0.05)) + slow,
            )
        )
    grown = soak.Growth.of(samples)
    assert grown.memory_bytes == pytest.approx(0.8 * memory, abs=1.5e6)
    assert grown.round_time == pytest.approx(0.8 * seconds / (1 + 0.6 * seconds), abs=0.05)
    assert grown.flat == flat
