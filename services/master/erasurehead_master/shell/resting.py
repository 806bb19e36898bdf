"""A master whose run is over, and which goes on answering over HTTP."""

from __future__ import annotations

import logging
import select

from erasurehead.process.pulse import Pulse
from erasurehead.process.signals import SignalWatch
from erasurehead.settings.tree import RunSettings
from erasurehead_master.machine.table import Phase

log = logging.getLogger(__name__)


def may_rest(settings: RunSettings) -> bool:
    """Return whether the master is to go on answering when its run is over."""
    return settings.http.linger and settings.http.bind is not None


def rest(settings: RunSettings) -> None:
    """Answer for a run that was finished before, until SIGTERM, where that is asked for."""
    if not may_rest(settings):
        return
    from prometheus_client import CollectorRegistry

    from erasurehead.monitoring.http import Endpoints, HealthServer

    assert settings.http.bind is not None
    pulse = Pulse(settings.http.stalled_after_s)
    about = {"phase": Phase.FINISHED.value}
    endpoints = Endpoints(CollectorRegistry(), pulse.healthy, lambda: (False, about))
    with SignalWatch() as signals, HealthServer(settings.http.bind, endpoints):
        linger(signals, pulse)


def linger(signals: SignalWatch, pulse: Pulse) -> None:
    """Keep metrics and health up until a signal asks this process to end."""
    log.info("the run is over; answering over HTTP until SIGTERM")
    while signals.take() is None:
        select.select([signals], [], [], 1.0)
        pulse.beat()
