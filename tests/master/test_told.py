"""What workers have of the model is known to the last bit, and comes as near as steps are short."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead.errors import DataError
from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.base import Packed
from erasurehead_master.run.told import Holders, Told


def telling(name: str = "f1", n: int = 3) -> Told:
    return Told(FORMATS.build(name), n, np.random.default_rng(0))


def unpacked(packed: Packed) -> np.ndarray:
    return np.asarray(FORMATS.build(packed.format).unpack(packed))


def test_a_worked_example() -> None:
    """Five digits of 0.3 are 19/64, which is 1/320 short: that comes with the next difference."""
    told = telling()
    assert told.tell(np.array([0.0, 1.0, 0.0])).tolist() == [0.0, 1.0, 0.0]
    assert told.tell(np.array([0.3, 1.0, -1.0])).tolist() == [19 / 64, 1.0, -1.0]
    assert unpacked(told.difference(None)).tolist() == [19 / 64, 0.0, -1.0]
    point = told.tell(np.array([0.3, 1.0, -1.0]))
    assert unpacked(told.difference(None)).tolist() == [13 / 4096, 0.0, 0.0]
    assert np.abs(point - [0.3, 1.0, -1.0]).max() < 2.0**-5 / 320


@given(st.integers(1, 12), st.integers(0, 1000), st.sampled_from(["f1", "f2", "f4"]))
def test_the_distance_is_a_rounding_of_the_last_difference(
    rounds: int, seed: int, name: str
) -> None:
    """And not a sum of roundings, however many rounds there were."""
    draws, told = np.random.default_rng(seed), telling(name, 50)
    query = draws.normal(size=50)
    point = told.tell(query)
    for _ in range(rounds):
        query = query + draws.normal(size=50)
        difference = np.abs(query - point).max()
        point = told.tell(query)
        bound = FORMATS.build(name).relative_error * difference
        assert np.abs(query - point).max() <= bound + 1e-12


def test_it_comes_to_rest_where_the_method_does() -> None:
    """Each round takes nearly all off what is left: there is no floor."""
    told, query = telling(n=50), np.random.default_rng(1).normal(size=50)
    told.tell(np.zeros(50))
    for _ in range(12):
        point = told.tell(query)
    assert np.abs(point - query).max() < 1e-13


def test_workers_that_add_and_workers_that_are_told_all_have_the_same_to_the_last_bit() -> None:
    told, draws = telling(n=50), np.random.default_rng(2)
    support = np.flatnonzero(draws.random(50) < 0.4)
    told.tell(draws.normal(size=50))
    has = unpacked(told.whole(support))
    for _ in range(5):
        point = told.tell(draws.normal(size=50))
        has = has + unpacked(told.difference(support))
        assert has.tobytes() == point[support].tobytes()
        assert has.tobytes() == unpacked(told.whole(support)).tobytes()
        assert point.tobytes() == unpacked(told.whole(None)).tobytes()


def test_points_that_were_told_do_not_change() -> None:
    told = telling()
    first = told.tell(np.zeros(3))
    told.tell(np.ones(3))
    assert first.tolist() == [0.0, 0.0, 0.0]


def test_it_goes_on_from_a_checkpoint_to_the_last_bit() -> None:
    draws = np.random.default_rng(3)
    queries = draws.normal(size=(6, 3))
    whole = telling()
    for query in queries[:3]:
        whole.tell(query)
        whole.close()
    whole.tell(queries[3])  # which is open, and is opened again
    resumed = telling()
    resumed.load_state({key: value.copy() for key, value in whole.state().items()})
    assert resumed.tell(queries[3]).tobytes() == unpacked(whole.whole(None)).tobytes()
    for query in queries[4:]:
        assert resumed.tell(query).tobytes() == whole.tell(query).tobytes()


def test_a_checkpoint_without_a_point_begins_with_the_query() -> None:
    told = telling()
    told.load_state({})
    assert told.tell(np.array([0.1, 0.2, 0.3])).tolist() == [0.1, 0.2, 0.3]
    with pytest.raises(DataError, match=r"shape \(4,\), expected \(3,\)"):
        told.load_state({"point": np.zeros(4)})


def test_who_was_sent_the_round_before_can_add() -> None:
    holders = Holders()
    holders.open()
    holders.told(b"a")
    holders.told(b"b")
    holders.told(b"c")
    assert not holders.can_add(b"a")  # it is sent the same round again
    holders.open()
    holders.lost(b"b")  # it was given a slot
    assert [holders.can_add(peer) for peer in (b"a", b"b", b"d")] == [True, False, False]
    holders.told(b"a")
    assert not holders.can_add(b"a")
    assert holders.can_add(b"c")
    holders.open()
    assert [holders.can_add(peer) for peer in (b"a", b"c")] == [True, False]
