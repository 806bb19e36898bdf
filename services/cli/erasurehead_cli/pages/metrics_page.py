"""docs/metrics.md, from the tables that the exporters use.

Run as ``python -m erasurehead_cli.pages.metrics_page > docs/metrics.md`` (`make docs`).

Nothing about a metric is written down twice; a test compares the page with these tables.
"""

from __future__ import annotations

import sys

from erasurehead.monitoring.metric import table
from erasurehead_master.watch.metrics import METRICS as MASTER
from erasurehead_worker.watch.metrics import METRICS as WORKER

PAGE = """\
# Metrics

<!-- Written by `make docs` from the tables in the code; changes here are lost. -->

Master and workers answer `GET /metrics`, `/healthz` and `/readyz` when an address is configured
(`--http-bind 127.0.0.1:9177`, or `ERASUREHEAD_HTTP__BIND`; a port alone means loopback). Without
one nothing listens. There is no authentication on these endpoints: let only your Prometheus reach
them.

| endpoint | master | worker |
| --- | --- | --- |
| `/healthz` | 200 while the loop turned in the last `http.stalled_after_s` | the same |
| `/readyz` | 200 from the first answer to the end of the run | 200 with its rows, or as a spare |

Everything is in base units: seconds, bytes, ratios. The `worker` label is a *slot* of the code,
not a process: small and stable. A slot without a ready worker has no series, so those of a
departed worker disappear; when another worker fills the slot, its counters go on from where they
were.

Every number about rounds comes from the round's one record (the line in `rounds.jsonl`), and every
number about membership from the master's state at the time of the scrape. The standard
`process_*` metrics (memory, CPU, descriptors) are there as well.

## Master

{master}

Two of these need a word. *Straggler probability* is the posterior mean of a Beta distribution
that forgets: about the last fifty rounds count. It belongs to the stop rule in force, because a
worker that the round did not wait for has missed it. *Waiting for all* is a lower bound: a
straggler drops its work when the next round opens, so unless its late result was heard, or its
delay was injected (and so is known from the seed), it counts as if it had come at the moment the
round closed.

## Worker

{worker}

CPU throttling is read from the worker's control group, version 1 or 2; it stays 0 where the
kernel does not account for it.

Dashboards and alerts that use these are in [dashboards/](../dashboards/README.md); what to do
when an alert fires is in [runbooks.md](runbooks.md).
"""


def page() -> str:
    """Return the whole page."""
    return PAGE.format(master=table(MASTER), worker=table(WORKER))


if __name__ == "__main__":
    sys.stdout.write(page())
