"""What the dashboards show: Run, Workers, System, and the runbooks that their panels link to.

Metrics about rounds carry no run, so a query keeps the masters of the chosen runs with
``and on (instance)``. Rates use $__rate_interval, which always spans several scrapes.
"""

from __future__ import annotations

import re
from pathlib import Path

from panels import (
    RUNBOOKS_UID,
    Json,
    dashboard,
    heatmap,
    lines,
    link_runbooks,
    number,
    row,
    text,
    variable,
)

RUNBOOKS = Path(__file__).parent.parent / "docs" / "runbooks.md"

RUN = variable("run", "run", "label_values(erasurehead_model_info, run)", "Runs to show.")
SLOT = variable(
    "slot",
    "slot",
    "label_values(erasurehead_straggler_probability, worker)",
    "Slots of the code to show: a slot outlives the process that fills it.",
)

OF_RUN = 'and on (instance) erasurehead_model_info{run=~"$run"}'
ROUNDS = f"sum(rate(erasurehead_round_duration_seconds_count[$__rate_interval]) {OF_RUN})"


def rate(metric: str, by: str = "") -> str:
    """Return the rate of a counter of the chosen runs, summed."""
    return f"sum{by and f' by ({by}) '}(rate({metric}[$__rate_interval]) {OF_RUN})"


def value(metric: str) -> str:
    """Return a gauge of the chosen runs."""
    return f"{metric} {OF_RUN}"


def quantile(q: float, metric: str) -> str:
    """Return a quantile of a histogram of the chosen runs."""
    return f"histogram_quantile({q}, {rate(f'{metric}_bucket', 'le')})"


def run() -> Json:
    """Return the dashboard of a run: is it learning, how fast, at what price?"""
    ratio = f"{rate('erasurehead_round_erasure_ratio_sum')} / {ROUNDS}"
    faster = (
        f"{rate('erasurehead_waiting_for_all_seconds_total')}"
        f" / {rate('erasurehead_compared_rounds_seconds_total')}"
    )
    return dashboard(
        "erasurehead-run",
        "ErasureHead / Run",
        "Is it learning, how fast, and what do erasures cost? Runbooks: docs/runbooks.md.",
        [RUN],
        [
            number(
                "Round",
                "The last round that is over.",
                value("erasurehead_round"),
                unit="none",
                decimals=0,
            ),
            number("Rounds per second", "Over the last scrapes.", ROUNDS, decimals=1),
            number(
                "Training loss",
                "At the point last broadcast, estimated from the survivors.",
                value("erasurehead_train_loss"),
                decimals=4,
            ),
            number(
                "Erasure rate",
                "Share of tasks erased, mean over rounds. Runbook: erasure-rate-high.",
                ratio,
                unit="percentunit",
                decimals=1,
                warn=0.3,
            ),
            number(
                "Workers ready",
                "Slots whose worker has its rows. Runbook: slot-dead.",
                value('erasurehead_workers{state="ready"}'),
                decimals=0,
            ),
            number(
                "Faster than waiting",
                "How many times longer the same rounds would at least have taken if every slot had"
                " been waited for: from late results and injected delays, a lower bound.",
                faster,
                unit="x",
                decimals=2,
            ),
            lines(
                "Training loss",
                "Estimated from the survivors' margins each round. Runbook: diverging.",
                [(value("erasurehead_train_loss"), "loss")],
                least=None,
            ),
            lines(
                "Gap to the minimum",
                "Share of the way from the first model to the minimum that is left, as the method"
                " estimates it; only methods that know the curvature do.",
                [(value("erasurehead_estimated_gap"), "gap")],
                log=True,
            ),
            lines(
                "Test metric",
                "The model on the test rows, at each evaluation.",
                [(value("erasurehead_test_metric"), "{{metric}}")],
                least=None,
            ),
            lines(
                "Gradient norm and step",
                "Norm of the decoded gradient, and the size of the method's step.",
                [
                    (value("erasurehead_gradient_norm"), "gradient norm"),
                    (value("erasurehead_step_size"), "step size"),
                ],
                log=True,
            ),
            lines(
                "Round duration",
                "From opening a round to the end of its step. Runbook: no-progress.",
                [
                    (quantile(q, "erasurehead_round_duration_seconds"), f"p{int(100 * q)}")
                    for q in (0.5, 0.95, 0.99)
                ],
                unit="s",
            ),
            heatmap(
                "Round durations",
                "Rounds per second by duration.",
                rate("erasurehead_round_duration_seconds_bucket", "le"),
            ),
            lines(
                "Against waiting for everyone",
                "Mean duration of a round, and what it would at least have been if every slot had"
                " been waited for (late results, injected delays; otherwise the round's own end).",
                [
                    (
                        f"{rate('erasurehead_compared_rounds_seconds_total')} / {ROUNDS}",
                        "as it was",
                    ),
                    (
                        f"{rate('erasurehead_waiting_for_all_seconds_total')} / {ROUNDS}",
                        "waiting for all",
                    ),
                ],
                unit="s",
            ),
            lines(
                "Erasure rate",
                "Share of tasks that no survivor covered. Runbook: erasure-rate-high.",
                [(ratio, "mean")],
                unit="percentunit",
            ),
            lines(
                "Arrivals per round",
                "Results that were in when their round closed, beside the slots of the code.",
                [
                    (f"{rate('erasurehead_arrival_seconds_count')} / {ROUNDS}", "arrivals"),
                    (value("erasurehead_slots"), "slots"),
                ],
            ),
            lines(
                "Decode error",
                "||alpha - 1||^2 / n of the realised task weights, mean over rounds.",
                [(f"{rate('erasurehead_round_decode_error_sum')} / {ROUNDS}", "mean")],
            ),
        ],
    )


def workers() -> Json:
    """Return the dashboard of the workers: which straggle, and why?"""
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


def system() -> Json:
    """Return the dashboard of the machinery: bytes, phases, messages, memory."""
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


def runbooks() -> Json:
    """Return docs/runbooks.md as a dashboard, a panel for each runbook."""
    _, *chapters = RUNBOOKS.read_text(encoding="utf-8").split("\n## ")
    # Links lead to other files of the repository, which Grafana does not have.
    plain = [re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", chapter) for chapter in chapters]
    panels = [text(*chapter.split("\n", 1)) for chapter in plain]
    return dashboard(
        RUNBOOKS_UID,
        "ErasureHead / Runbooks",
        "What each alert means and what to do; the same as docs/runbooks.md.",
        [],
        panels,
    )


def linked(board: Json) -> Json:
    """Return a dashboard with links from its panels to their runbooks."""
    pages = {panel["title"]: panel["id"] for panel in runbooks()["panels"]}
    link_runbooks(board["panels"], pages)
    return board


BOARDS = {
    "run": lambda: linked(run()),
    "workers": lambda: linked(workers()),
    "system": lambda: linked(system()),
    "runbooks": runbooks,
}
"""By the name of the file."""
