"""Where the parts of the machine leave what they want done."""

from __future__ import annotations

from erasurehead.records import Level
from erasurehead.wire.messages import ToWorker
from erasurehead_master.machine.actions import Action, Notice, Send


class Outbox:
    """The actions of the event at hand, in order."""

    def __init__(self) -> None:
        self._actions: list[Action] = []

    def add(self, action: Action) -> None:
        """Let something be done after all that is in here."""
        self._actions.append(action)

    def send(self, peer: bytes, message: ToWorker) -> None:
        """Let a control message be sent."""
        self._actions.append(Send(peer, message))

    def notice(self, level: Level, text: str) -> None:
        """Let the run's observers be told."""
        self._actions.append(Notice(level, text))

    def take(self) -> list[Action]:
        """Return what is in here, and be empty."""
        actions, self._actions = self._actions, []
        return actions
