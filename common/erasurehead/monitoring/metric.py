"""A metric's definition, said once: the exporter and docs/metrics.md are made from it.

Every number passes through `totals.plain` on its way to the client library, which keeps the type
that it is given: a float32 would turn a sum to single precision for good (at 16,777,216 it stops),
an array of one element would make every later scrape of the registry fail
(findings/prometheus-numpy.sh).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, SupportsFloat

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import (
    Metric as Family,
)

from erasurehead.monitoring.totals import Histogram, plain

Kind = Literal["counter", "gauge", "histogram"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of duration buckets: from rounds that cost only overhead to very late workers."""


@dataclass(frozen=True, slots=True)
class Metric:
    """Name, kind, help text and labels of one metric.

    `name` is the full name as Prometheus shows it, in base units; a counter's ends in ``_total``.
    `buckets` are the finite upper bounds of a histogram, ascending.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    def numbers(self, samples: Iterable[tuple[Sequence[str], SupportsFloat]]) -> Family:
        """Return the family of a counter or gauge with these (label values, value)."""
        make = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = make(self.name.removesuffix("_total"), self.help, labels=self.labels)
        for labels, value in samples:
            family.add_metric(labels, plain(value))
        return family

    def number(self, value: SupportsFloat) -> Family:
        """Return the family of a counter or gauge without labels."""
        return self.numbers([((), value)])

    def histograms(self, samples: Iterable[tuple[Sequence[str], Histogram]]) -> Family:
        """Return the family of a histogram with these (label values, histogram)."""
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, histogram in samples:
            family.add_metric(labels, histogram.cumulative(), histogram.sum)
        return family


def table(metrics: Iterable[Metric]) -> str:
    """Return the metrics as a Markdown table."""
    lines = ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
    for metric in metrics:
        labels = ", ".join(f"`{name}`" for name in metric.labels) or "–"
        meaning = metric.help.replace("|", "\\|")
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {meaning} |")
    return "\n".join(lines)
