"""OpenTelemetry: gauges for whatever takes OTLP, such as a collector, Prometheus or Grafana."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from erasurehead.tracking.base import Ending, Tracked, Tracker, missing

PATH = "/v1/metrics"
"""Where receivers take metrics over HTTP, if an endpoint names no path."""


class OtlpTracker(Tracker):
    """The latest numbers as gauges, sent over HTTP every few seconds and at the end.

    A time series knows times and no rounds, so the round is a gauge as well. Settings are
    attributes of the resource, which is the run.

    Parameters
    ----------
    tracked: the run.
    endpoint: of the receiver, as in ``http://collector:4318``; default: OpenTelemetry's own, which
        its variables ``OTEL_EXPORTER_OTLP_...`` say.
    every_s: seconds of the run between two messages; 0: one each round.
    """

    name: ClassVar[str] = "otlp"

    def __init__(
        self, tracked: Tracked, *, endpoint: str | None = None, every_s: float = 5.0
    ) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.sdk import metrics
        except ImportError:
            raise missing(
                self.name, "OpenTelemetry (opentelemetry-exporter-otlp-proto-http)"
            ) from None
        if endpoint is not None and "/" not in endpoint.rstrip("/").partition("://")[2]:
            endpoint = endpoint.rstrip("/") + PATH
        self._tracked = tracked
        self._every_s, self._sent_s = every_s, -every_s
        self._gauges: dict[str, Any] = {}
        self._provider: Callable[..., Any] = metrics.MeterProvider
        self._connect: Callable[[], Any] = lambda: OTLPMetricExporter(endpoint=endpoint)

    def begin(self, facts: Mapping[str, str]) -> None:
        """Make the gauges' home."""
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.resources import Resource

        told = {"name": self._tracked.name, **self._tracked.settings, **facts}
        attributes = {f"erasurehead.{key}": value for key, value in told.items()}
        # What is measured is read on this tracker's own thread when it is due, so no other is
        # started, and what a receiver does not take is seen.
        self._reader = InMemoryMetricReader()
        self._exporter = self._connect()
        self._metrics = self._provider(
            [self._reader],
            Resource.create({"service.name": "erasurehead", **attributes}),
            shutdown_on_exit=False,
        )
        self._meter = self._metrics.get_meter("erasurehead")

    def round_over(self, round_: int, closed_s: float, values: Mapping[str, float]) -> None:
        """Set the gauges, and send them if it is time to."""
        self._set({"round": float(round_), **values})
        if closed_s - self._sent_s >= self._every_s:
            self._sent_s = closed_s
            self._send()

    def end(self, values: Mapping[str, float], ending: Ending, reason: str) -> None:
        """Send the last numbers."""
        self._set({**values, "finished": float(ending == "finished")})
        self._send()
        self._metrics.shutdown()
        self._exporter.shutdown()

    def _set(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if name not in self._gauges:
                called = f"erasurehead.{name.replace('/', '.')}"
                self._gauges[name] = self._meter.create_gauge(called)
            self._gauges[name].set(value)

    def _send(self) -> None:
        from opentelemetry.sdk.metrics.export import MetricExportResult

        if self._exporter.export(self._reader.get_metrics_data()) is not MetricExportResult.SUCCESS:
            raise ConnectionError("the receiver has not taken the numbers")
