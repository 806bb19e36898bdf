"""A metric's definition, said once: the exporter and docs/metrics.md are made from it.

Every number passes through here on its way to the client library, which keeps the type that it is
given: a float32 would turn a sum to single precision for good (at 16,777,216 it stops), an array of
one element would make every later scrape of the registry fail, and one NaN or infinity would make a
sum useless for ever (findings/prometheus-numpy.sh). So sums add Python floats and take
nothing that is not finite; a gauge shows what there is, since a loss of NaN is worth an alert.
"""

from __future__ import annotations

import math
from bisect import bisect_left
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


def plain(number: SupportsFloat) -> float:
    """Return a number of any kind, or an array of one element, as a Python float.

    Raises
    ------
    ValueError: an array of more elements, or of none.
    """
    item = getattr(number, "item", None)
    return float(number if item is None else item())


class Total:
    """What a counter shows: a sum of amounts, which stays a finite Python float."""

    __slots__ = ("sum",)

    def __init__(self) -> None:
        self.sum = 0.0

    def add(self, amount: SupportsFloat) -> None:
        """Add an amount; one that is not finite is left out."""
        number = plain(amount)
        if math.isfinite(number):
            self.sum += number


class Histogram:
    """Counts of observations by bucket; an observation costs one bisection.

    Parameters
    ----------
    bounds: finite upper bounds, ascending; a value equal to a bound belongs to its bucket.
    """

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = Total()

    def observe(self, value: SupportsFloat) -> None:
        """Count one observation; one that is not a number counts as beyond every bound."""
        number = plain(value)
        beyond = math.isnan(number)
        self._counts[-1 if beyond else bisect_left(self._bounds, number)] += 1
        self._total.add(number)

    @property
    def sum(self) -> float:
        """The sum of all finite observations."""
        return self._total.sum

    @property
    def count(self) -> int:
        """Observations so far."""
        return sum(self._counts)

    def cumulative(self) -> list[tuple[str, float]]:
        """Return (upper bound, observations up to it), the last bound being +Inf."""
        total = 0
        found = []
        for bound, count in zip((*self._bounds, math.inf), list(self._counts), strict=True):
            total += count
            found.append(("+Inf" if bound == math.inf else repr(float(bound)), float(total)))
        return found


def table(metrics: Iterable[Metric]) -> str:
    """Return the metrics as a Markdown table."""
    lines = ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
    for metric in metrics:
        labels = ", ".join(f"`{name}`" for name in metric.labels) or "–"
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(lines)
