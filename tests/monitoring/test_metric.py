"""Definitions, buckets, and the page that is made from them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as TheirHistogram

from erasurehead.monitoring.metric import Histogram, Metric
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
