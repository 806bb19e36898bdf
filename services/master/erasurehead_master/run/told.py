"""What workers have of the model: the whole once, then what has changed since the round before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.errors import DataError
from erasurehead.wire.vectors.base import Packed, VectorFormat
from erasurehead.wire.vectors.f8 import F8
from erasurehead_master.machine.supports import Support


class Told:
    """The point m_t that all workers have in round t, beside the query theta_t of the method.

    m_t = m_(t-1) + Q(theta_t - m_(t-1)) for the rounding Q of a vector format. What Q takes in one
    round is part of the difference of the next (error feedback), so m_t comes as near to theta_t as
    steps become short: with |Q(x) - x| <= q |x|, the distance is at most q times the length of the
    last step and that of the distance before. Q is applied once to all parameters, so all workers
    have parts of one point, to the last bit, and the master knows it: results are exact gradients
    at m_t.

    Memory: up to two vectors of all parameters, and a byte a parameter.

    Parameters
    ----------
    format: of differences; divisible.
    n_parameters: length of a model.
    rng: for formats that round at random.
    """

    def __init__(self, format: VectorFormat, n_parameters: int, rng: np.random.Generator) -> None:
        self._format = format
        self._whole = F8()
        self._n_parameters = n_parameters
        self._rng = rng
        self._point: FloatArray | None = None
        self._closed: FloatArray | None = None
        """The point of the last round that is over."""
        self._difference: Packed | None = None

    @property
    def point(self) -> FloatArray:
        """The point of the round that is open, an array that does not change."""
        assert self._point is not None
        return self._point

    def tell(self, query: FloatArray) -> FloatArray:
        """Return the point of the round that opens.

        `query` has the shape (n_parameters,); the first point is the query itself.
        """
        if self._point is None:
            self._point = query.copy()
            self._difference = None
            return self._point
        packed = self._format.pack(query - self._point, self._rng)
        self._point = self._point + self._format.unpack(packed)
        self._difference = packed
        return self._point

    def close(self) -> None:
        """The round is over: its point is what the next difference counts from, also after a
        crash."""
        self._closed = self._point

    def whole(self, support: Support) -> Packed:
        """Return the point on a support, for a worker that does not have the one before."""
        assert self._point is not None
        point = self._point if support is None else self._point[support]
        return self._whole.pack(point, self._rng)

    def difference(self, support: Support) -> Packed:
        """Return what a worker must add on a support to the point of the round before."""
        assert self._difference is not None
        return self._format.part(self._difference, support)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; the point itself.

        A round that is open is no part of it: it is opened again.
        """
        return {} if self._closed is None else {"point": self._closed}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned; from nothing if the run had told nothing yet.

        Raises
        ------
        DataError: it is of another model size.
        """
        if "point" not in state:
            return
        if state["point"].shape != (self._n_parameters,):
            raise DataError(
                f"the checkpoint's model as workers have it has shape {state['point'].shape},"
                f" expected ({self._n_parameters},); resume with the store it was written by"
            )
        self._point = self._closed = state["point"].copy()


class Holders:
    """Which peers have the model of the round before, and can be told the difference."""

    def __init__(self) -> None:
        self._before: set[bytes] = set()
        self._now: set[bytes] = set()

    def open(self) -> None:
        """Another round opens."""
        self._before, self._now = self._now, set()

    def told(self, peer: bytes) -> None:
        """A peer was sent the model of the open round."""
        self._now.add(peer)

    def lost(self, peer: bytes) -> None:
        """A peer forgets what it has: it was given a slot."""
        self._before.discard(peer)
        self._now.discard(peer)

    def can_add(self, peer: bytes) -> bool:
        """Return whether a peer is to be told the difference.

        One that was sent this round's model, and is sent it again, may have lost it on the way.
        """
        return peer in self._before and peer not in self._now
