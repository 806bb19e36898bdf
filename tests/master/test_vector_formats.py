"""Runs whose models and gradients travel in formats of all kinds, one of a plug-in among them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest

from erasurehead.arrays import FloatArray, Vector
from erasurehead.errors import EXIT_OK, UsageError
from erasurehead.optimizing import METHODS
from erasurehead.optimizing.anchored_lbfgs import AnchoredLbfgs
from erasurehead.optimizing.base import Move
from erasurehead.optimizing.finding import Finding, UnitGradient
from erasurehead.optimizing.steps import StepSize
from erasurehead.rows import CsrRows
from erasurehead.wire.messages import Assign
from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.base import Packed, Packer, VectorFormat
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing
from tests.support.virtual_run import make_master, some_rows

Virtual = Callable[..., VirtualCluster]


class Coarse(VectorFormat):
    """One byte a value: the nearest of `steps` multiples of the largest value to either side."""

    name = "coarse"

    def __init__(self, *, steps: int = 127) -> None:
        self._steps = steps
        self.relative_error = 0.5 / steps

    def pack(self, values: FloatArray, rng: np.random.Generator) -> Packed:
        unit = np.array([np.abs(values).max(initial=0.0) / self._steps or 1.0])
        return Packed(self.name, len(values), (np.rint(values / unit).astype("|i1"), unit))

    def fits(self, packed: Packed) -> bool:
        return packed.layout == [(np.dtype("|i1"), packed.n), (np.dtype("<f8"), 1)]

    def unpack(self, packed: Packed) -> Vector:
        codes, unit = packed.arrays
        return np.asarray(codes * unit)


class Mindful(Coarse):
    """Adds to each vector what rounding took from the one before."""

    name = "mindful"

    def packer(self, rng: np.random.Generator) -> Packer:
        return MindfulPacker(self, rng)


class MindfulPacker(Packer):
    """Remembers what its last vector lost."""

    def __init__(self, format: VectorFormat, rng: np.random.Generator) -> None:
        super().__init__(format, rng)
        self._unpack = format.unpack
        self._lost: FloatArray | float = 0.0

    def pack(self, values: FloatArray) -> Packed:
        wanted = values + self._lost
        packed = super().pack(wanted)
        self._lost = wanted - self._unpack(packed)
        return packed


class Dithered(Coarse):
    """Rounds up or down at random, such that on average nothing is lost."""

    name = "dithered"

    def pack(self, values: FloatArray, rng: np.random.Generator) -> Packed:
        unit = np.array([np.abs(values).max(initial=0.0) / 126 or 1.0])
        codes = np.floor(values / unit + rng.random(len(values)))
        return Packed(self.name, len(values), (codes.astype("|i1"), unit))


class Witness(AnchoredLbfgs):
    """Keeps which points it is told that units were asked at."""

    told: ClassVar[list[dict[int, UnitGradient]]]

    def step(self, found: Finding, size: StepSize) -> Move:
        self.told.append({renewal.unit: renewal.fresh for renewal in found.renewals})
        return super().step(found, size)


class Listening(RealArithmetic):
    """Keeps which points slots were asked at, in the order of asking."""

    def __init__(self, rows: CsrRows) -> None:
        super().__init__(rows)
        self.asked: dict[int, list[Vector]] = defaultdict(list)

    def gradient(
        self, assign: Assign, round_: int, theta: Vector, part: int
    ) -> tuple[list[FloatArray], list[float]]:
        self.asked[assign.slot].append(np.array(theta))
        return super().gradient(assign, round_, theta, part)


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the formats above for the time of a test."""
    monkeypatch.setattr(FORMATS, "_entries", dict(FORMATS._entries))
    FORMATS.register(Coarse.name, Coarse)
    FORMATS.register(Mindful.name, Mindful)
    FORMATS.register(Dithered.name, Dithered)
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    METHODS.register("witness", Witness)


def trained(virtual: Virtual, format: str, scheme: str = "egc:c=3") -> VirtualCluster:
    """Return a cluster after 150 rounds, which bring it to where rounding is all that is left."""
    cluster = virtual(scheme=scheme, workers=6, rounds=150, wire={"format": format})
    for i in range(6):
        cluster.start(f"w{i}", i)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert not cluster.finished.refused
    return cluster


def off(cluster: VirtualCluster, exact: VirtualCluster) -> float:
    """Return by how much the model is off, as a share of the largest parameter."""
    best = exact.conductor.model
    return float(np.abs(cluster.conductor.model - best).max() / np.abs(best).max())


@pytest.mark.parametrize("format", ["f4", "f2", "coarse", "coarse:steps=7"])
@pytest.mark.usefixtures("plugged_in")
def test_a_run_comes_as_near_as_its_format_lets_it(virtual: Virtual, format: str) -> None:
    """The model that workers are told is rounded, and so the one they agree on is."""
    error = FORMATS.build(format).relative_error
    found = off(trained(virtual, format), trained(virtual, "f8"))
    assert 0.01 * error < found < 10 * error


@pytest.mark.parametrize(
    ("scheme", "parts", "vectors"),
    [("cyclic-mds:s=2,field=complex", 1, 2), ("partial:s=1,alpha=2", 2, 1)],
)
@pytest.mark.usefixtures("plugged_in")
def test_results_of_several_vectors_or_parts_travel_in_any_format(
    virtual: Virtual, scheme: str, parts: int, vectors: int
) -> None:
    cluster = trained(virtual, "coarse", scheme)
    code = cluster.machine.plan.code
    assert (code.n_parts, code.n_vectors) == (parts, vectors)
    found = off(cluster, trained(virtual, "f8", scheme))
    assert found < 10 * FORMATS.build("coarse").relative_error


@pytest.mark.usefixtures("plugged_in")
def test_a_format_that_remembers_does_so_for_each_sender(virtual: Virtual) -> None:
    """What a grid takes from one vector it gives to the next: on average nothing is lost."""
    exact = trained(virtual, "f8")
    forgetful = off(trained(virtual, "coarse:steps=31"), exact)
    mindful = off(trained(virtual, "mindful:steps=31"), exact)
    assert mindful < 0.5 * forgetful


@pytest.mark.parametrize(
    ("format", "differences"),
    [
        *((name, "none") for name in ("f8", "f4", "f2", "coarse", "mindful", "dithered")),
        *(("f8", name) for name in ("f1", "f2", "f4")),
    ],
)
@pytest.mark.usefixtures("plugged_in")
def test_anchors_are_the_points_that_workers_received(format: str, differences: str) -> None:
    """To the last bit, also where what comes out depends on what was sent before, on a die, or on
    the part of the model that a worker is sent."""
    rows, Witness.told = some_rows(), []
    # Each slot has other rows, and other columns in them.
    few = rows.rows(0, 12)
    machine, descent = make_master(
        few,
        scheme="uncoded:r=3,cache=sag",
        workers=6,
        rounds=12,
        l2=1e-3,
        step="auto",
        optimizer="witness",
        wire={"format": format, "differences": differences, "dense_share": 1.0},
        delay="exponential:mean_s=1",
    )
    listening = Listening(few)
    cluster = VirtualCluster(machine, descent, listening, Timing(), checked=True)
    for i in range(6):
        cluster.start(f"w{i}", i)
    cluster.run()
    assert len(Witness.told) == 12
    assert len({id(machine.training.supports[slot]) for slot in range(6)}) > 1
    for renewed in Witness.told:
        for slot, fresh in renewed.items():
            here = slice(None) if fresh.support is None else fresh.support
            received = [np.asarray(theta, dtype=float).tobytes() for theta in listening.asked[slot]]
            assert fresh.point[here].tobytes() in received


def test_a_format_that_is_not_registered_is_refused(virtual: Virtual) -> None:
    with pytest.raises(UsageError, match="unknown vector format 'coarse'"):
        virtual(wire={"format": "coarse"})
