"""The dashboard of the machinery: bytes, phases, messages, memory."""

from __future__ import annotations

from panels import Json, dashboard, lines
from queries import ROUNDS, RUN, rate, value


def system_board() -> Json:
    """Return the dashboard."""
    return dashboard(
        "erasurehead-system",
        "ErasureHead / System",
        "What the machinery costs and what it refuses. Runbooks: docs/runbooks.md.",
        [RUN],
        [
            lines(
                "Bytes",
                "Frames to and from workers, as the master counts them.",
                [
                    (rate("erasurehead_sent_bytes_total"), "to workers"),
                    (rate("erasurehead_received_bytes_total"), "from workers"),
                ],
                unit="Bps",
            ),
            lines(
                "Bytes per round",
                "The same, divided by rounds.",
                [
                    (f"{rate('erasurehead_sent_bytes_total')} / {ROUNDS}", "to workers"),
                    (f"{rate('erasurehead_received_bytes_total')} / {ROUNDS}", "from workers"),
                ],
                unit="bytes",
            ),
            lines(
                "Master's time by phase",
                "Of each second: encoding and sending, waiting, taking results in, stepping.",
                [(rate("erasurehead_master_phase_seconds_total", "phase"), "{{phase}}")],
                unit="percentunit",
                stacked=True,
            ),
            lines(
                "Refused messages",
                "By reason, per second; docs/protocol.md explains each. Runbook: refused-messages.",
                [(rate("erasurehead_refused_messages_total", "reason"), "{{reason}}")],
                unit="ops",
            ),
            lines(
                "Stale results",
                "Results of an earlier round that were heard, per second.",
                [(rate("erasurehead_stale_results_total"), "stale")],
                unit="ops",
            ),
            lines(
                "Checkpoints",
                "Seconds since the last, and how many could not be written."
                " Runbook: checkpoint-old.",
                [
                    (value("erasurehead_checkpoint_age_seconds"), "age"),
                    (value("erasurehead_checkpoint_failures_total"), "failures"),
                ],
                unit="s",
            ),
            lines(
                "Memory",
                "Resident memory of the master and of all workers together.",
                [
                    (value("process_resident_memory_bytes"), "master"),
                    (
                        "sum(process_resident_memory_bytes and on (instance)"
                        " erasurehead_worker_info)",
                        "workers",
                    ),
                ],
                unit="bytes",
            ),
            lines(
                "CPU",
                "Cores used by the master and by all workers together, and workers' throttling.",
                [
                    (rate("process_cpu_seconds_total"), "master"),
                    (
                        "sum(rate(process_cpu_seconds_total[$__rate_interval])"
                        " and on (instance) erasurehead_worker_info)",
                        "workers",
                    ),
                    (
                        "sum(rate(erasurehead_worker_cpu_throttled_seconds_total"
                        "[$__rate_interval]))",
                        "throttled",
                    ),
                ],
            ),
            lines(
                "Chunks of rows",
                "Worked through by workers per second, and dropped because a newer round came.",
                [
                    (
                        "sum by (outcome) (rate(erasurehead_worker_chunks_total"
                        "[$__rate_interval]))",
                        "{{outcome}}",
                    )
                ],
                unit="ops",
            ),
        ],
    )
