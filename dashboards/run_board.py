"""The dashboard of a run: is it learning, how fast, at what price?"""

from __future__ import annotations

from panels import Json, dashboard, heatmap, lines, number
from queries import ROUNDS, RUN, quantile, rate, value


def run_board() -> Json:
    """Return the dashboard."""
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
