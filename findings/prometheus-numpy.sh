#!/usr/bin/env bash
# One would guess: a Prometheus client turns whatever number it is handed into a float, as Gauge.set
#   does, so a NumPy scalar is as good as a Python float, and a histogram that has seen one NaN shows
#   one more observation.
# What happens: Counter.inc and Histogram.observe add what they are given to what they hold, and the
#   sum takes over its type. After one float32 a counter stops at 16777216 for good. After one array
#   of one element every scrape of the whole registry raises TypeError. After one NaN a histogram's
#   sum is NaN for ever, while its count looks healthy: it has left the NaN out.
# Version: prometheus-client 0.26.0 with numpy 2.4.6 (NumPy 2 keeps the narrow type: float + float32
#   is float32; its 2.4 refuses float() of arrays of one element).
# Source: MutexValue.inc in prometheus_client/values.py; Histogram.observe in metrics.py;
#   floatToGoString in utils.py.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check prometheus-client==0.26.0 numpy==2.4.6
"$dir/venv/bin/python" -I - <<'PY'
import math
import sys

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest


def expect(seen: bool, sentence: str) -> None:
    if not seen:
        sys.exit(f"this has changed: {sentence}")


steps = Counter("steps", "One float32, then Python numbers.", registry=CollectorRegistry())
steps.inc(np.float32(1))
steps.inc(2**24 - 1)
for _ in range(1000):
    steps.inc()
(sample,) = [s for family in steps.collect() for s in family.samples if s.name == "steps_total"]
print(f"16777216 and 1000 more make {float(sample.value):.0f}, a {type(sample.value).__name__}")
expect(sample.value == 2**24, "a counter that was given a float32 counts on beyond 2**24")

registry = CollectorRegistry()
Counter("other", "Has nothing to do with it.", registry=registry).inc()
seconds = Counter("seconds", "One array of one element.", registry=registry)
seconds.inc(np.ones(1))
failures = []
for _ in range(2):
    seconds.inc(1.0)
    try:
        generate_latest(registry)
    except TypeError as error:
        failures.append(error.args[0])
print(f"scrapes after an array of one element: {failures}")
expect(len(failures) == 2, "a registry with an array of one element can be scraped")

errors = Histogram("errors", "One NaN, then one 0.5.", registry=CollectorRegistry(), buckets=[1])
errors.observe(math.nan)
errors.observe(0.5)
values = {s.name: s.value for family in errors.collect() for s in family.samples}
print(f"after NaN and 0.5: sum {values['errors_sum']}, count {values['errors_count']}")
expect(math.isnan(values["errors_sum"]), "the sum survives a NaN")
expect(values["errors_count"] == 1, "the count has the NaN in it")
PY
