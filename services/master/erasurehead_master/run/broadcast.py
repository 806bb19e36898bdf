"""Sending a round's model: it is packed once for each distinct support."""

from __future__ import annotations

from typing import Generic

import numpy as np

from erasurehead.wire.messages import Step
from erasurehead.wire.vectors.base import ROUNDING, Packed, Packer
from erasurehead_master.machine.actions import SendStep
from erasurehead_master.machine.supports import BySupport, Support
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.seams import Parcel, Post
from erasurehead_master.run.told import Holders


class Broadcast(Generic[Parcel]):
    """Sends the model of the open round, or how it differs from that of the round before.

    Parameters
    ----------
    descent: holds the model.
    post: how messages reach workers.
    seed: of the run, for formats that draw.
    """

    def __init__(self, descent: Descent, post: Post[Parcel], seed: int) -> None:
        self._descent = descent
        self._post = post
        self._rng = np.random.default_rng((seed, ROUNDING))
        self._packers: BySupport[Packer] = BySupport()
        self._parcels: BySupport[Parcel] = BySupport()
        """The open round's model."""
        self._changes: BySupport[Parcel] = BySupport()
        """How it differs from that of the round before, where workers are told that."""
        self._holders = Holders()

    def open(self) -> None:
        """Another round opens, with another model."""
        self._parcels.clear()
        self._changes.clear()
        self._holders.open()

    def rebuild(self) -> None:
        """The code was rebuilt: what rounding took from models on the old supports is forgotten."""
        self._packers.clear()

    def assigned(self, peer: bytes) -> None:
        """A peer is given a slot, and has no model."""
        self._holders.lost(peer)

    def send(self, step: SendStep) -> list[bytes]:
        """Send the model to all targets; return the peers that could not be reached."""
        unreachable: list[bytes] = []
        send, holders = self._post.send, self._holders
        tells = self._descent.told is not None
        for peer, support in step.targets:
            changes = tells and holders.can_add(peer)
            parcels = self._changes if changes else self._parcels
            parcel = parcels.get(support)
            if parcel is None:
                parcel = parcels.put(support, self._wrapped(step, support, changes=changes))
            if send(peer, parcel):
                holders.told(peer)
            else:
                unreachable.append(peer)
        return unreachable

    def _wrapped(self, step: SendStep, support: Support, *, changes: bool) -> Parcel:
        """Return what all workers with this support are sent.

        `changes`: they have the model of the round before, and are told how this one differs.
        """
        told = self._descent.told
        if told is not None:
            model = told.difference(support) if changes else told.whole(support)
        else:
            model = self._packed(step, support)
        return self._post.wrap(Step(step.epoch, step.round, model))

    def _packed(self, step: SendStep, support: Support) -> Packed:
        """Return the model on a support in the run's format."""
        packer = self._packers.get(support)
        if packer is None:
            packer = self._packers.put(support, step.format.packer(self._rng))
        model = packer.pack(self._descent.slice(support))
        if self._descent.must_be_told:
            values = np.asarray(step.format.unpack(model), dtype=np.float64)
            self._descent.received(support, values)
        return model
