"""Grafana's panels as plain dictionaries: the few kinds that our dashboards use.

Sizes are in Grafana's grid, 24 columns wide. `place` lays panels out from left to right and wraps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]
Query = tuple[str, str]
"""PromQL and the legend of its series."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
"""The Prometheus that the variable `SOURCE` names."""

SOURCE = {
    "type": "datasource",
    "name": "datasource",
    "label": "Data source",
    "description": "The Prometheus that scrapes the master and its workers.",
    "query": "prometheus",
    "regex": "",
    "refresh": 1,
    "multi": False,
    "includeAll": False,
    "current": {"selected": True, "text": "Prometheus", "value": "prometheus"},
    "options": [],
    "hide": 0,
    "skipUrlSync": False,
}
"""Chosen where there are several; at first the one that our own files provision."""
"""As dashboards/grafana/provisioning/datasources/prometheus.yml says."""


RUNBOOKS_UID = "erasurehead-runbooks"


def _panel(
    kind: str, title: str, description: str, queries: Sequence[Query], width: int, height: int
) -> Json:
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"x": 0, "y": 0, "w": width, "h": height},
        "targets": [
            {
                "refId": chr(ord("A") + i),
                "datasource": DATASOURCE,
                "expr": expression,
                "legendFormat": legend,
                "editorMode": "code",
                "range": True,
                "instant": False,
            }
            for i, (expression, legend) in enumerate(queries)
        ],
    }


def lines(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str = "short",
    width: int = 8,
    height: int = 8,
    stacked: bool = False,
    log: bool = False,
    least: float | None = 0.0,
    most: float | None = None,
) -> Json:
    """Return a time series panel."""
    panel = _panel("timeseries", title, description, queries, width, height)
    defaults: Json = {
        "unit": unit,
        "color": {"mode": "palette-classic"},
        "custom": {
            "drawStyle": "line",
            "lineWidth": 2,
            "fillOpacity": 30 if stacked else 0,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
            "scaleDistribution": {"type": "log", "log": 10} if log else {"type": "linear"},
        },
    }
    if least is not None and not log:
        defaults["min"] = least
    if most is not None:
        defaults["max"] = most
    panel["fieldConfig"] = {"defaults": defaults, "overrides": []}
    panel["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def number(
    title: str,
    description: str,
    query: str,
    *,
    unit: str = "short",
    height: int = 4,
    decimals: int | None = None,
    warn: float | None = None,
) -> Json:
    """Return a panel with the latest value in large figures, orange from `warn` on."""
    panel = _panel("stat", title, description, [(query, "")], 4, height)
    steps: list[Json] = [{"color": "green", "value": None}]
    if warn is not None:
        steps.append({"color": "orange", "value": warn})
    defaults: Json = {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if decimals is not None:
        defaults["decimals"] = decimals
    panel["fieldConfig"] = {"defaults": defaults, "overrides": []}
    panel["options"] = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value" if warn is not None else "none",
        "graphMode": "area",
        "justifyMode": "auto",
        "textMode": "auto",
        "orientation": "auto",
    }
    return panel


def heatmap(
    title: str,
    description: str,
    query: str,
    *,
    width: int = 8,
    height: int = 8,
) -> Json:
    """Return a heatmap of buckets of seconds over time; the query keeps the label `le`."""
    panel = _panel("heatmap", title, description, [(query, "{{le}}")], width, height)
    panel["targets"][0]["format"] = "heatmap"
    panel["fieldConfig"] = {"defaults": {}, "overrides": []}
    panel["options"] = {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
        "yAxis": {"unit": "s", "axisPlacement": "left"},
        "cellGap": 1,
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": False},
    }
    return panel


def text(title: str, markdown: str) -> Json:
    """Return a panel of text."""
    return {
        "type": "text",
        "title": title,
        "gridPos": {"x": 0, "y": 0, "w": 12, "h": 10},
        "options": {"mode": "markdown", "content": markdown},
    }


def link_runbooks(panels: Sequence[Json], pages: Mapping[str, int]) -> None:
    """Let panels whose description names a runbook link to it.

    Parameters
    ----------
    pages: the panel's number on the dashboard of runbooks, by the runbook's name.
    """
    for panel in panels:
        named = re.search(r"Runbook: ([a-z-]+)\.", panel.get("description", ""))
        if named:
            panel["links"] = [
                {
                    "type": "link",
                    "title": f"Runbook: {named[1]}",
                    "url": f"/d/{RUNBOOKS_UID}?viewPanel={pages[named[1]]}",
                    "tags": [],
                    "asDropdown": False,
                    "icon": "doc",
                    "includeVars": False,
                    "keepTime": False,
                    "targetBlank": True,
                    "tooltip": "What this means and what to do.",
                }
            ]


def row(title: str, panels: Sequence[Json], *, repeat: str | None = None) -> list[Json]:
    """Return a heading and its panels; `repeat` draws them once for each value of a variable."""
    heading: Json = {
        "type": "row",
        "title": title,
        "collapsed": False,
        "panels": [],
        "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1},
    }
    if repeat is not None:
        heading["repeat"] = repeat
    return [heading, *panels]


def place(panels: Sequence[Json]) -> list[Json]:
    """Number the panels and lay them out."""
    x = y = tallest = 0
    for number_, panel in enumerate(panels, start=1):
        panel["id"] = number_
        grid = panel["gridPos"]
        if x + grid["w"] > 24 or grid["w"] == 24:
            x, y, tallest = 0, y + tallest, 0
        grid["x"], grid["y"] = x, y
        x, tallest = x + grid["w"], max(tallest, grid["h"])
        if x >= 24:
            x, y, tallest = 0, y + tallest, 0
    return list(panels)


def variable(name: str, label: str, query: str, description: str) -> Json:
    """Return a variable of label values, several at a time, all of them at first."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "description": description,
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 3,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }


def dashboard(
    uid: str, title: str, description: str, variables: Sequence[Json], panels: Sequence[Json]
) -> Json:
    """Return a whole dashboard, with links to its sisters."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["erasurehead"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-30m", "to": "now"},
        "refresh": "5s",
        "fiscalYearStartMonth": 0,
        "annotations": {"list": []},
        "templating": {"list": [SOURCE, *variables] if variables else []},
        "links": [
            {
                "type": "dashboards",
                "title": "ErasureHead",
                "tags": ["erasurehead"],
                "asDropdown": False,
                "icon": "external link",
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "tooltip": "",
                "url": "",
            }
        ],
        "panels": place(panels),
    }
