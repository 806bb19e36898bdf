"""Metrics and health of a run over HTTP, where that is asked for."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from erasurehead.process.pulse import Pulse
from erasurehead.records import Observer
from erasurehead.settings.groups import HttpSettings
from erasurehead_master.machine.machine import Master

log = logging.getLogger(__name__)


def monitor(http: HttpSettings, machine: Master, pulse: Pulse, stack: ExitStack) -> list[Observer]:
    """Serve metrics and health while `stack` is open, if an address is configured.

    Returns what must observe the run for that.
    """
    if http.bind is None:
        return []
    # Not loaded by runs that are not watched over HTTP.
    from erasurehead.monitoring.http import HealthServer
    from erasurehead_master.watch.exporter import MasterMetrics, endpoints

    metrics = MasterMetrics(machine)
    server = stack.enter_context(HealthServer(http.bind, endpoints(machine, metrics, pulse)))
    log.info("metrics and health at %s", server.url)
    return [metrics]
