"""What was run: what differs between the runs first, then what they share."""

from __future__ import annotations

import math
from functools import reduce

from erasurehead.settings.leaves import key, settings_of
from erasurehead_cli.report.markup import disclosure, section, table
from erasurehead_cli.report.material import Material
from erasurehead_cli.results.number_format import seconds, size
from erasurehead_cli.results.series import Series


def settings(material: Material) -> str:
    """What was run: what differs between the runs first, then what they share."""
    columns = [_facts(series) for series in material.every]
    names = list(dict.fromkeys(name for facts in columns for name in facts))
    rows = {name: [facts.get(name, "-") for facts in columns] for name in names}
    differing = {name: row for name, row in rows.items() if len(set(row)) > 1}
    shared = {name: row[0] for name, row in rows.items() if len(set(row)) == 1}
    content = ""
    if differing:
        listed = {"": list(differing)}
        listed |= {
            label: [row[n] for row in differing.values()] for n, label in enumerate(material.labels)
        }
        content += table(listed, "What differs between the runs")
    caption = "Settings" if material.single else "The same for all runs"
    shown = table({"": list(shared), "value": list(shared.values())}, caption)
    return section("settings", "Settings", content + disclosure(caption, shown))


def _facts(series: Series) -> dict[str, str]:
    """Return settings by the names of the command line, then what the run turned out to be."""
    settings = series.run.settings
    facts = {}
    for setting in settings_of(type(settings)):
        value = reduce(getattr, setting.path, settings)
        facts[key(setting.name)] = "-" if value is None else str(value)
    start, summary = series.run.start, series.run.summary
    facts["directory"] = str(series.run.path)
    if start is not None:
        loads = sorted(set(start.loads))
        facts |= {
            "tasks (n)": str(start.n_tasks),
            "tasks a slot": f"{loads[0]}" if len(loads) == 1 else f"{loads[0]} to {loads[-1]}",
            "columns": f"{start.columns:,}",
            "training rows": f"{start.training_rows:,}",
            "model of the run": start.model,
            **({"optimizer of the run": start.optimizer} if start.optimizer else {}),
            "step of the run": start.step,
            **({"l2 of the run": f"{start.l2:g}"} if math.isfinite(start.l2) else {}),
            "ready after": seconds(start.ready_s),
        }
    if summary is not None:
        facts["ended"] = summary.reason
        if summary.verdict:
            facts["converged"] = summary.verdict
        if summary.peak_memory_bytes:
            facts["peak memory of the master"] = size(summary.peak_memory_bytes)
        if summary.cpu_s:
            facts["processor time of the master"] = seconds(summary.cpu_s)
    return facts
