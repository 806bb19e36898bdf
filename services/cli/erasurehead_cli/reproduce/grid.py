"""Which cells there are: data set x setting x scheme x seed, the headline ones first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from erasurehead.errors import UsageError
from erasurehead.registry import nearest
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse

N_WORKERS = 30
MEAN_DELAY_S = 0.5
"""What the paper's code draws; its text says rate 1/2."""

EVALUATE_EVERY_ROUNDS = 5
APPROXIMATE_ROUNDS = 1.5
"""Schemes that may need more rounds than uncoded run so many times as many."""

SLOW_WORKERS = 6
"""Of the workers under CPU quotas; the seed draws which."""

SLOW_PROBABILITY, FAST_PROBABILITY = 0.9, 0.3
"""What codes that know their workers are told of the two kinds."""


@dataclass(frozen=True)
class DataSet:
    """A data set of the paper with its step size; `metric` is timed."""

    name: str
    title: str
    step: str
    metric: str


DATA_SETS = (
    DataSet("amazon", "Amazon Employee Access", "10", "auc"),
    DataSet("covertype", "Covertype", "0.1", "auc"),
    DataSet("kc-housing", "KC Housing", "exponential:eta=0.1,decay=0.99", "mse"),
)

SETTINGS: Mapping[str, str] = {
    "delays": "injected exponential delays",
    "none": "no injected delays",
    "quotas": "CPU quotas, some workers persistently slow",
}

UNCODED = "uncoded"
AGC_AS_PUBLISHED = "agc:c=3,r=11,scale=none"

HEADLINE: Mapping[str, Sequence[str]] = {
    "delays": (
        UNCODED,
        "egc:c=3",
        "egc:c=2",
        AGC_AS_PUBLISHED,
        "agc:c=3,r=11",
        "agc:c=3,r=5,cache=sag",
        "agc:c=3,r=3,cache=sag",
        "agc:c=3,r=2,cache=sag",
        "frc:c=3 / first-copy / adaptive:warmup=1,explore=50 / sag",
        "uncoded:r=5,cache=sag",
        "uncoded:r=3,cache=sag",
    ),
    "none": (
        UNCODED,
        "egc:c=3",
        "agc:c=3,r=11",
        "agc:c=3,r=7",
        "agc:c=3,r=5,cache=sag",
        "uncoded:r=5,cache=sag",
    ),
    "quotas": (
        UNCODED,
        "egc:c=3",
        "agc:c=3,r=11",
        "agc:c=3,r=5,cache=sag",
        "frc:c=3,groups=balanced,p={p} / first-copy / fraction:r=11 / sag",
        "osgc:p={p},max_load=4 / fixed / fraction:r=20 / sag",
        "uncoded:r=11,cache=sag",
        "uncoded:r=24,cache=sag",
    ),
}

REST: Mapping[str, Sequence[str]] = {
    "delays": (
        "agc:c=2,r=11,scale=none",
        "agc:c=2,r=11",
        "uncoded:r=11",
        "agc:c=3,r=5",
        "agc:c=3,r=15",
        "agc:c=3,r=20",
        "uncoded:r=20",
        "cyclic-repetition:s=2",
        "cyclic-repetition:s=1",
    ),
}


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes
    ----------
    template: the scheme; ``{p}`` stands for the straggler probabilities of the slots.
    """

    data_set: DataSet
    setting: str
    template: str
    seed: int

    @property
    def scheme(self) -> str:
        """The scheme for this seed's slow slots."""
        slow = slow_slots(self.seed)
        told = (SLOW_PROBABILITY if i in slow else FAST_PROBABILITY for i in range(N_WORKERS))
        return self.template.replace("{p}", "/".join(f"{p:g}" for p in told))

    @property
    def label(self) -> str:
        """The scheme as it stands in tables."""
        return label(self.template)

    @cached_property
    def coding(self) -> Coding:
        """The scheme fitted to the workers."""
        return Coding.of(parse(self.scheme), N_WORKERS)

    @property
    def exact(self) -> bool:
        """True when its rounds do what uncoded's do."""
        return self.coding.exact

    @property
    def is_coded(self) -> bool:
        """Whether several workers hold a task."""
        return bool((self.coding.code.replication > 1).any())

    def rounds(self, base: int) -> int:
        """Rounds to run where uncoded runs `base`."""
        return base if self.exact else round(APPROXIMATE_ROUNDS * base)


def label(template: str) -> str:
    """Return a scheme's template without what it is told of the workers."""
    return template.replace("p={p},", "").replace(",p={p}", "")


def slow_slots(seed: int) -> frozenset[int]:
    """Return the slots that are slow under CPU quotas."""
    order = np.random.default_rng((0x5104, seed)).permutation(N_WORKERS)
    return frozenset(order[:SLOW_WORKERS].tolist())


def build_grid(
    sets: Sequence[str], settings: Sequence[str], seeds: int, schemes: Sequence[str] = ()
) -> list[Cell]:
    """Return the cells in the order they are run.

    Parameters
    ----------
    schemes: instead of the usual ones, in every setting; empty: the usual ones.

    Raises
    ------
    UsageError: an unknown name, or a scheme that cannot be built or is given twice.
    """
    twice = [each for n, each in enumerate(schemes) if each in schemes[:n]]
    if twice:
        raise UsageError(f"scheme {twice[0]} is given twice; each is run once")
    chosen = [_data_set(name) for name in sets]
    for name in settings:
        if name not in SETTINGS:
            raise UsageError(f"there is no setting '{name}'{nearest(name, list(SETTINGS))}")
    for scheme in schemes:
        Coding.of(parse(scheme), N_WORKERS)
    return list(_cells(chosen, settings, seeds, schemes))


def _cells(
    sets: Sequence[DataSet], settings: Sequence[str], seeds: int, schemes: Sequence[str]
) -> Iterator[Cell]:
    stages = [dict.fromkeys(settings, schemes)] if schemes else [HEADLINE, REST]
    for seed in range(seeds):
        for stage in stages:
            for setting in settings:
                for data_set in sets:
                    for template in stage.get(setting, ()):
                        yield Cell(data_set, setting, template, seed)


def _data_set(name: str) -> DataSet:
    known = {each.name: each for each in DATA_SETS}
    if name not in known:
        raise UsageError(f"there is no data set '{name}'{nearest(name, list(known))}")
    return known[name]
