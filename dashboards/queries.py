"""What the queries of all dashboards begin from.

Metrics about rounds carry no run, so a query keeps the masters of the chosen runs with
``and on (instance)``. Rates use $__rate_interval, which always spans several scrapes.
"""

from __future__ import annotations

from panels import variable

RUN = variable("run", "run", "label_values(erasurehead_model_info, run)", "Runs to show.")

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
