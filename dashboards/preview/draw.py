"""Draw the dashboards from a live Prometheus with Grafana's UI components, as PNG.

    npm install --legacy-peer-deps       # in this directory, once
    python dashboards/preview/draw.py http://127.0.0.1:9090 docs/images --minutes 5

What comes out is not a screenshot of Grafana: panels, axes, legends and figures are drawn by the
components that Grafana itself uses (@grafana/ui), the layout and the heatmaps by preview.tsx. Needs
Node.js and Chromium.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BOARDS = HERE.parent / "grafana" / "boards"
WIDTH = 1480
STEPS = 120
SHOWN_SLOTS = ("0", "1")
"""Values of a repeated row that are drawn."""

LOADERS = ("svg", "png", "ttf", "woff2")
BROWSER = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=15000",
]


def resolve(expression: str, slot: str, step_s: float) -> str:
    """Put values for the variables, as Grafana does."""
    interval = f"{max(20, round(4 * step_s))}s"
    text = expression.replace("$__rate_interval", interval)
    text = text.replace('worker="$slot"', f'worker="{slot}"')
    return re.sub(r"\$(run|slot)\b", ".+", text)


def ask(prometheus: str, expression: str, start: float, end: float) -> list[dict[str, Any]]:
    """Return the series of a range query."""
    step = (end - start) / STEPS
    given = {"query": expression, "start": start, "end": end, "step": step}
    url = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(given)}"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


def legend(template: str, labels: dict[str, str]) -> str:
    """Fill a legend's template."""
    return re.sub(r"\{\{(\w+)\}\}", lambda m: labels.get(m[1], ""), template) or "value"


def values(series: dict[str, Any], start: float, end: float) -> list[tuple[float, float | None]]:
    """Return (time, value) of every step; what is missing or not a number is a gap."""
    step = (end - start) / STEPS
    held = {round((t - start) / step): float(v) for t, v in series["values"]}
    steps = ((start + i * step, held.get(i)) for i in range(STEPS + 1))
    return [(t, v if v is not None and math.isfinite(v) else None) for t, v in steps]


def unrolled(board: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Return (panel, slot) with repeated rows written out, moved down where they repeat."""
    rows: list[list[dict[str, Any]]] = [[]]
    for panel in board["panels"]:
        if panel["type"] == "row":
            rows.append([])
        rows[-1].append(panel)
    found, lower = [], 0
    for row in rows:
        slots = SHOWN_SLOTS if row and row[0].get("repeat") else SHOWN_SLOTS[:1]
        top = min((p["gridPos"]["y"] for p in row), default=0)
        bottom = max((p["gridPos"]["y"] + p["gridPos"]["h"] for p in row), default=0)
        for i, slot in enumerate(slots):
            lower += 0 if i == 0 else bottom - top
            for panel in row:
                grid = {**panel["gridPos"], "y": panel["gridPos"]["y"] + lower}
                title = panel["title"].replace("$slot", slot)
                found.append(({**panel, "gridPos": grid, "title": title}, slot))
    return found


def preview(prometheus: str, board: dict[str, Any], start: float, end: float) -> dict[str, Any]:
    """Return what preview.tsx draws."""
    answers: dict[str, list[dict[str, Any]]] = {}
    panels = []
    for i, (panel, slot) in enumerate(unrolled(board)):
        panel = {**panel, "key": str(i), "id": i}
        panels.append(panel)
        answers[str(i)] = [
            {
                "name": legend(target["legendFormat"], series["metric"]),
                "labels": series["metric"],
                "values": values(series, start, end),
            }
            for target in panel.get("targets", [])
            for series in ask(
                prometheus, resolve(target["expr"], slot, (end - start) / STEPS), start, end
            )
        ]
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels)
    drawn = {"panels": panels, "height": height}
    return {"board": drawn, "answers": answers, "from": start, "to": end, "width": WIDTH}


def bundle(directory: Path) -> Path:
    """Bundle preview.tsx with the components."""
    script = directory / "preview.js"
    subprocess.run(
        [
            *("npx", "esbuild", "preview.tsx", "--bundle", "--format=iife", f"--outfile={script}"),
            "--define:process.env.NODE_ENV='production'",
            *("--define:global=window", "--log-level=error"),
            *(f"--loader:.{kind}=dataurl" for kind in LOADERS),
        ],
        cwd=HERE,
        check=True,
    )
    return script


def main() -> None:
    """Draw every dashboard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prometheus")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    given = parser.parse_args()
    end = time.time()
    start = end - 60 * given.minutes
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        bundle(directory)
        for path in sorted(BOARDS.glob("*.json")):
            board = json.loads(path.read_text(encoding="utf-8"))
            content = preview(given.prometheus, board, start, end)
            page = directory / f"{path.stem}.html"
            page.write_text(
                '<meta charset="utf-8"><link rel="stylesheet" href="preview.css">'
                '<body style="margin:0"><div id="root"></div>'
                f"<script>window.preview = {json.dumps(content)}</script>"
                '<script src="preview.js"></script>',
                encoding="utf-8",
            )
            height = content["board"]["height"] * 36
            subprocess.run(
                [
                    *("chromium", *BROWSER, f"--user-data-dir={directory / 'browser'}"),
                    f"--window-size={WIDTH},{height}",
                    f"--screenshot={(given.out / f'dashboard-{path.stem}.png').resolve()}",
                    page.as_uri(),
                ],
                check=True,
                capture_output=True,
            )


if __name__ == "__main__":
    main()
