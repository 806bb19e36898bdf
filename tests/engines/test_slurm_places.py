"""Where the master of a SLURM job listens."""

from __future__ import annotations

import pytest

from erasurehead.errors import UsageError
from erasurehead_engines.posting import Start
from erasurehead_engines.ranks import Rank
from erasurehead_engines.slurm import place_for

NOWHERE = "no-such-host.invalid"


def rank(nodes: int, submitted_from: str = "") -> Rank:
    start = Start(job="71", step="0", restarts=0)
    return Rank(0, 8, "n1", nodes, f"n[1-{nodes}]", submitted_from, start)


def test_one_node_needs_no_address_that_others_reach() -> None:
    """1. It takes loopback, also if the host is unknown from which the job came. 2. Or what the
    user says."""
    for origin in ("", "127.0.0.1", NOWHERE):
        assert place_for(rank(1, origin), None, ["n1"]).bind == "tcp://127.0.0.1:*"
    given = place_for(rank(1), "tcp://127.0.0.1:7", ["n1"])
    assert given.connect("tcp://127.0.0.1:7") == "tcp://127.0.0.1:7"


def test_several_nodes_need_one_that_all_reach() -> None:
    """1. One that stays on the master's machine is refused. 2. So are nodes without a way. 3. A
    named address of another kind is taken."""
    for bind in ("tcp://127.0.0.1:*", None):
        with pytest.raises(UsageError, match=r"stays on this machine, and the job has 2 nodes"):
            place_for(rank(2), bind, ["n1", "127.0.0.1"])
    with pytest.raises(UsageError, match=f"knows no way to {NOWHERE}"):
        place_for(rank(2), None, ["n1", NOWHERE])
    assert place_for(rank(2), "tcp://192.0.2.1:*", ["n1", "n2"]).host == "192.0.2.1"
