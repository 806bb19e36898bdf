"""The dashboard of the workers: which straggle, and why?"""

from __future__ import annotations

from panels import Json, dashboard, heatmap, lines, number, row, variable
from queries import RUN, rate, value

SLOT = variable(
    "slot",
    "slot",
    "label_values(erasurehead_straggler_probability, worker)",
    "Slots of the code to show: a slot outlives the process that fills it.",
)


def workers_board() -> Json:
    """Return the dashboard."""
    mine = 'worker=~"$slot"'
    all_slots = [
        lines(
            "Straggler probability",
            "Estimated probability that a slot misses the next round. Runbook: slot-dead.",
            [(value(f"erasurehead_straggler_probability{{{mine}}}"), "slot {{worker}}")],
            unit="percentunit",
            most=1,
        ),
        lines(
            "Mean time to arrive",
            "Of the results that were in time, by slot.",
            [
                (
                    f"{rate(f'erasurehead_arrival_seconds_sum{{{mine}}}', 'worker')}"
                    f" / {rate(f'erasurehead_arrival_seconds_count{{{mine}}}', 'worker')}",
                    "slot {{worker}}",
                )
            ],
            unit="s",
        ),
        lines(
            "Late in the last rounds",
            "Share of the last rounds in which a slot's result came late or not at all; where"
            " rounds do not wait, every slot is late now and then. Runbook: slot-dead.",
            [(value(f"erasurehead_worker_late_ratio{{{mine}}}"), "{{name}} (slot {{worker}})")],
            unit="percentunit",
            most=1,
        ),
        lines(
            "Behind the median",
            "How far a slot was behind the median arrival of the last rounds, at least: what did"
            " not come counts as if it had come when its round closed.",
            [(value(f"erasurehead_worker_behind_seconds{{{mine}}}"), "{{name}} (slot {{worker}})")],
            unit="s",
        ),
        lines(
            "Chronic stragglers and dead workers",
            "Drawn while chance does not explain how often a worker is late, and while a slot whose"
            " worker is gone has no other. Runbook: slot-dead.",
            [
                (
                    value(f"erasurehead_worker_{state}{{{mine}}} == 1"),
                    f"{{{{name}}}} (slot {{{{worker}}}}) is {state}",
                )
                for state in ("chronic", "gone")
            ],
            most=1,
        ),
        lines(
            "Workers by state",
            "Ready ones hold their rows; spares wait for a slot. Runbook: slot-dead.",
            [(value("erasurehead_workers"), "{{state}}")],
        ),
    ]
    one = 'worker="$slot"'
    each_slot = [
        heatmap(
            "Arrivals of slot $slot",
            "Results in time per second, by seconds after the round opened.",
            rate(f"erasurehead_arrival_seconds_bucket{{{one}}}", "le"),
            width=8,
            height=6,
        ),
        lines(
            "Straggling of slot $slot",
            "Estimated probability, and the share of rounds that did not wait for it.",
            [
                (value(f"erasurehead_straggler_probability{{{one}}}"), "probability"),
                (
                    rate(f'erasurehead_worker_rounds_total{{{one}, outcome="straggled"}}')
                    + f" / {rate(f'erasurehead_worker_rounds_total{{{one}}}')}",
                    "straggled",
                ),
            ],
            unit="percentunit",
            most=1,
            width=6,
            height=6,
        ),
        lines(
            "Time of slot $slot",
            "Seconds per second: computing, held back by the injected delay, throttled for having"
            " used up the CPU quota.",
            [
                (f"sum(rate(erasurehead_worker_{name}{{{one}}}[$__rate_interval]))", legend)
                for name, legend in (
                    ("compute_seconds_total", "computing"),
                    ("injected_delay_seconds_total", "injected delay"),
                    ("cpu_throttled_seconds_total", "throttled"),
                )
            ],
            unit="percentunit",
            width=6,
            height=6,
        ),
        number(
            "Placements of slot $slot",
            "Times a worker was put into the slot: each above 1 is a restart or a replacement.",
            value(f"erasurehead_worker_placements_total{{{one}}}"),
            decimals=0,
            height=6,
        ),
    ]
    return dashboard(
        "erasurehead-workers",
        "ErasureHead / Workers",
        "Which workers straggle, and why? A row for each slot. Runbooks: docs/runbooks.md.",
        [RUN, SLOT],
        [*row("All slots", all_slots), *row("Slot $slot", each_slot, repeat="slot")],
    )
