"""A master's metrics as Prometheus sees them."""

from __future__ import annotations

import contextlib
import random
import socket
import urllib.request


def free_port() -> int:
    """Return a port on loopback that was free a moment ago.

    It lies below those that the kernel gives to connections, one of which might take it meanwhile.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def scrape(port: int) -> dict[str, float]:
    """Return every series, by its name and labels as they are written in the exposition.

    Raises
    ------
    OSError: nobody answers.
    """
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
        lines = page.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {series: float(value) for series, value in pairs}


def placements(metrics: dict[str, float], slot: int) -> float:
    """Return how often a slot was filled; the series is there while somebody is in it."""
    return metrics.get(f'erasurehead_worker_placements_total{{worker="{slot}"}}', 0.0)


def refused(metrics: dict[str, float]) -> dict[str, float]:
    """Return the refusals that were counted at all, by reason."""
    start = 'erasurehead_refused_messages_total{reason="'
    return {
        series.removeprefix(start).removesuffix('"}'): value
        for series, value in metrics.items()
        if series.startswith(start) and value
    }


def workers(metrics: dict[str, float], state: str) -> float:
    """Return how many workers are ready, loading, spare or set_aside."""
    return metrics[f'erasurehead_workers{{state="{state}"}}']
