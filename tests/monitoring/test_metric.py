"""Definitions, buckets, and the page that is made from them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import SupportsFloat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as TheirHistogram

from erasurehead.monitoring.metric import Metric
from erasurehead.monitoring.totals import Histogram, Total, plain
from erasurehead_cli.pages.metrics_page import page
from erasurehead_master.watch.metrics import METRICS as MASTER
from erasurehead_worker.watch.metrics import METRICS as WORKER

BOUNDS = (0.1, 1.0, 10.0)
ALL = (*MASTER, *WORKER)


@given(st.lists(st.floats(min_value=-1, max_value=100)))
def test_buckets_equal_those_of_the_client_library(values: list[float]) -> None:
    theirs = TheirHistogram("h", "h", buckets=BOUNDS, registry=CollectorRegistry())
    ours = Histogram(BOUNDS)
    for value in values:
        theirs.observe(value)
        ours.observe(value)
    (family,) = theirs.collect()
    expected = [(s.labels["le"], s.value) for s in family.samples if s.name == "h_bucket"]
    assert ours.cumulative() == expected
    assert ours.count == len(values)
    assert ours.sum == pytest.approx(sum(values))


def test_what_is_not_a_number_is_counted_beyond_every_bound() -> None:
    """A decode error of NaN must neither be lost nor spoil the sum for ever."""
    histogram = Histogram(BOUNDS)
    histogram.observe(math.nan)
    histogram.observe(0.5)
    assert histogram.cumulative() == [("0.1", 0), ("1.0", 1), ("10.0", 1), ("+Inf", 2)]
    assert histogram.sum == 0.5


def test_what_is_infinite_is_counted_but_never_added_up() -> None:
    histogram, total = Histogram(BOUNDS), Total()
    for value in (math.inf, 0.5, -math.inf, math.nan, np.float32("inf")):
        histogram.observe(value)
        total.add(value)
    assert histogram.cumulative() == [("0.1", 1), ("1.0", 2), ("10.0", 2), ("+Inf", 5)]
    assert histogram.sum == total.sum == 0.5


def test_sums_stay_in_double_precision_whatever_they_are_given() -> None:
    """A float32 that is added to a Python float makes a float32, which stops at 2**24."""
    histogram, total = Histogram(BOUNDS), Total()
    for value in (np.float32(1), 2.0**24, np.int64(1), np.float32(1)):
        histogram.observe(value)
        total.add(value)
    assert histogram.sum == total.sum == 2.0**24 + 3
    assert type(histogram.sum) is type(total.sum) is float


@pytest.mark.parametrize(
    "one", [3, 3.0, np.float32(3), np.int64(3), np.array(3.0), np.array([3.0])]
)
def test_the_client_library_is_handed_python_floats(one: SupportsFloat) -> None:
    (sample,) = Metric("m", "gauge", "A number.").number(one).samples
    assert sample.value == 3
    assert type(sample.value) is float


def test_a_gauge_shows_what_is_not_finite() -> None:
    (sample,) = Metric("m", "gauge", "A loss.").number(np.float32("nan")).samples
    assert math.isnan(sample.value)


def test_several_numbers_are_not_one() -> None:
    with pytest.raises(ValueError, match="size 1"):
        plain(np.ones(2))


@pytest.mark.parametrize("metric", ALL, ids=lambda m: m.name)
def test_every_metric_follows_the_conventions(metric: Metric) -> None:
    assert metric.name.startswith("erasurehead_")
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(metric.buckets)
    assert metric.help.endswith(".")
    assert "|" not in metric.help.replace("||", ""), "would break the table"
    assert not any(word in metric.name for word in ("_ms", "millis", "_kb", "percent"))
    assert "le" not in metric.labels


def test_names_are_unique() -> None:
    assert len({m.name for m in ALL}) == len(ALL)


def test_the_page_is_what_the_code_says() -> None:
    written = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert written.read_text(encoding="utf-8") == page(), "run `make docs`"
