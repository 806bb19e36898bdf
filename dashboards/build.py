"""Write what is generated: `python dashboards/build.py` (part of `make docs`).

- dashboards/grafana/boards/*.json, for Grafana's file provisioning;
- k8s/components/prometheus-operator/prometheusrule.yaml, the rules of
  dashboards/prometheus/rules/ as the Prometheus operator takes them.

Both lie in the repository, so that using them needs no Python; a test builds them again.
"""

from __future__ import annotations

import json
from pathlib import Path

from boards import BOARDS

HERE = Path(__file__).parent
RULES = HERE / "prometheus" / "rules" / "erasurehead.yml"
OPERATOR = HERE.parent / "k8s" / "components" / "prometheus-operator" / "prometheusrule.yaml"

HEADER = """\
# The rules of dashboards/prometheus/rules/erasurehead.yml as an object of the Prometheus operator.
# Written by dashboards/build.py (`make docs`); changes here are lost.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: erasurehead
spec:
"""


def built() -> dict[Path, str]:
    """Return every generated file and its text."""
    files = {
        HERE / "grafana" / "boards" / f"{name}.json": json.dumps(make(), indent=2) + "\n"
        for name, make in BOARDS.items()
    }
    rules = RULES.read_text(encoding="utf-8").splitlines()
    body = [f"  {line}" if line else "" for line in rules if not line.startswith("#")]
    files[OPERATOR] = HEADER + "\n".join(body).strip("\n") + "\n"
    return files


if __name__ == "__main__":
    for path, text in built().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
