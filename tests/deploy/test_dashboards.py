"""Dashboards and rules without a server: current, of the right types, about metrics there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from build import OPERATOR, RULES, built

from erasurehead_master.watch.metrics import METRICS as MASTER
from erasurehead_worker.watch.metrics import METRICS as WORKER
from tests.support.deploy_tools import ROOT, TOOLS, Run

BOARDS = sorted((ROOT / "dashboards" / "grafana" / "boards").glob("*.json"))
RUNBOOKS = ROOT / "docs" / "runbooks.md"
RULE_TESTS = ROOT / "dashboards" / "prometheus" / "tests" / "erasurehead_test.yml"
SERVERS = (
    ROOT / "dashboards" / "prometheus" / "prometheus.yml",
    ROOT / "k8s" / "components" / "monitoring" / "config" / "prometheus.yml",
)
LABELS = {m.name: set(m.labels) for m in (*MASTER, *WORKER)}
HISTOGRAMS = {m.name for m in (*MASTER, *WORKER) if m.kind == "histogram"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    [group] = read(RULES)["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [p for p in board["panels"] if p["type"] not in ("row", "text")]


def queries() -> list[tuple[str, str]]:
    """Return (where, PromQL) of every panel, variable and rule."""
    found = [(r.get("alert") or r["record"], r["expr"]) for r in rules()]
    for path in BOARDS:
        board = json.loads(path.read_text(encoding="utf-8"))
        for panel in panels(board):
            found += [(f"{path.stem}: {panel['title']}", t["expr"]) for t in panel["targets"]]
    return found


def named(expression: str) -> list[tuple[str, str]]:
    """Return (name, selector) of every series in a query.

    Label values are not metrics; an empty string in their place keeps the label.
    """
    bare = re.sub(r'"[^"]*"', '""', expression)
    return re.findall(r"\b(erasurehead[\w:]*)\b(\{[^}]*\})?", bare)


def metric_of(series: str) -> str:
    """Return the metric of a series: histograms have several."""
    metric = re.sub(r"_(bucket|sum|count)$", "", series)
    return metric if metric in HISTOGRAMS else series


@pytest.mark.parametrize("path", built(), ids=lambda p: p.name)
def test_generated_files_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == built()[path], "run `make docs`"


def test_the_operators_rules_are_the_same_rules() -> None:
    assert read(OPERATOR)["spec"] == read(RULES)


def test_promtool_takes_configuration_and_rules(run: Run) -> None:
    done = run("promtool", "check", "config", "dashboards/prometheus/prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should(run: Run) -> None:
    done = run("promtool", "test", "rules", RULE_TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_tested_as_they_are_deployed() -> None:
    """promtool heeds neither a group's interval nor the order of groups in a file.

    Both are said again in its test file, so they are compared (findings/promtool-groups.sh).
    """
    tested, groups = read(RULE_TESTS), read(RULES)["groups"]
    [scraped] = {read(server)["global"]["scrape_interval"] for server in SERVERS}
    assert {group["interval"] for group in groups} == {tested["evaluation_interval"]}
    assert {test["interval"] for test in tested["tests"]} == {scraped}
    assert tested["group_eval_order"] == [group["name"] for group in groups]


def test_rule_tests_name_what_there_is() -> None:
    """An alert that does not exist never fires, and a misspelt series is the silence of a test."""
    alerts = {r["alert"] for r in rules() if "alert" in r}
    tests = read(RULE_TESTS)["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", [])]
    assert {case["alertname"] for case in cases} == alerts
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alerts
    for series in (s["series"] for test in tests for s in test["input_series"]):
        name, _, labels = series.partition("{")
        used = set(re.findall(r"(\w+)=", labels))
        if name != "up":
            assert used <= LABELS[metric_of(name)] | {"instance"}, series


def test_every_alert_has_a_runbook() -> None:
    headings = re.findall(r"^## (.+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {h.lower().replace(" ", "-") for h in headings}
    for rule in rules():
        if "alert" in rule:
            file, anchor = rule["annotations"]["runbook"].split("#")
            assert ROOT / file == RUNBOOKS
            assert anchor in anchors, rule["alert"]


def test_panels_link_to_the_runbooks_they_name() -> None:
    """The runbooks are a dashboard as well: a link that works wherever Grafana runs."""
    boards = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in BOARDS}
    pages = {p["id"]: p["title"] for p in boards["runbooks"]["panels"]}
    headings = re.findall(r"^## (.+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)
    assert list(pages.values()) == headings
    linked = 0
    for board in boards.values():
        for panel in panels(board):
            named = re.findall(r"Runbook: ([a-z-]+)\.", panel["description"])
            for name, link in zip(named, panel.get("links", []), strict=True):
                address = re.fullmatch(r"/d/([a-z-]+)\?viewPanel=(\d+)", link["url"])
                assert address is not None, link["url"]
                uid, page = address.groups()
                assert uid == boards["runbooks"]["uid"]
                assert pages[int(page)] == name
                linked += 1
    assert linked >= 5


NOT_DRAWN = {
    "erasurehead_amplification": "of interest where a code is chosen (docs/codes-measured.md)",
    "erasurehead_code_rebuilds_total": "the log says why, and erasurehead_slots is drawn",
    "erasurehead_erased_tasks_total": "drawn as a share of all tasks",
    "erasurehead_exit_code": "there when nothing moves any more; an alert has it",
    "erasurehead_late_result_seconds": "drawn as what waiting would have cost",
    "erasurehead_model_parameters": "never changes",
    "erasurehead_phase": "the number of workers, and of rounds, says it",
    "erasurehead_round_arrivals": "drawn as the mean over rounds",
    "erasurehead_rounds_planned": "never changes",
    "erasurehead_tasks": "never changes",
    "erasurehead_training_rows": "never changes",
    "erasurehead_worker_cpu_limit_cores": "never changes",
    "erasurehead_worker_cpu_periods_total": "drawn as throttled seconds",
    "erasurehead_worker_parameters": "never changes",
    "erasurehead_worker_phase": "drawn from the master's side",
    "erasurehead_worker_results_total": "drawn from the master's side",
    "erasurehead_worker_rounds_abandoned_total": "drawn as dropped chunks",
    "erasurehead_worker_rows": "never changes",
}
"""Metrics that no dashboard shows, each with the reason."""


def test_every_metric_is_on_a_dashboard_or_has_a_reason_not_to_be() -> None:
    drawn = {
        metric_of(name)
        for where, expression in queries()
        if ": " in where  # else it is of a rule
        for name, _ in named(expression)
    }
    assert set(LABELS) - drawn == set(NOT_DRAWN)


@pytest.mark.parametrize(("where", "expression"), queries())
def test_queries_use_metrics_and_labels_that_exist(where: str, expression: str) -> None:
    records = {r["record"] for r in rules() if "record" in r}
    for name, selector in named(expression):
        if name in records:
            continue
        known = metric_of(name)
        assert known in LABELS, f"{where}: no metric is called {name}"
        used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
        assert used <= LABELS[known] | {"instance", "job"}, f"{where}: labels of {name}"


def test_dashboards_have_the_types_grafana_declares(run: Run, tmp_path: Path) -> None:
    """String enums are taken by their values; a misspelt key or a wrong type is found."""
    literal = (
        "type L<T> = T extends string ? `${T}` : T extends (infer U)[] ? L<U>[]"
        " : T extends object ? {[K in keyof T]: L<T[K]>} : T;\n"
    )
    header = f'import type {{ Dashboard }} from "@grafana/schema";\n{literal}'
    (tmp_path / "node_modules").symlink_to(TOOLS / "types" / "node_modules")

    def check(name: str, board: str) -> str:
        path = tmp_path / f"{name}.ts"
        path.write_text(f"{header}export const board: L<Dashboard> = {board};\n", encoding="utf-8")
        options = "--noEmit --strict --skipLibCheck --moduleResolution bundler --module esnext"
        return run("tsc", *options.split(), path).stdout

    for path in BOARDS:
        assert check(path.stem, path.read_text(encoding="utf-8")) == ""
    # The check itself must be able to fail.
    wrong = BOARDS[0].read_text(encoding="utf-8").replace('"gridPos"', '"gridPosition"', 1)
    assert "gridPosition" in check("wrong", wrong)


@pytest.mark.parametrize("path", BOARDS, ids=lambda p: p.stem)
def test_boards_are_laid_out_and_described(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    datasource = yaml.safe_load(
        (ROOT / "dashboards/grafana/provisioning/datasources/prometheus.yml").read_text()
    )["datasources"][0]
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        mine = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & mine, f"{panel['title']} overlaps"
        cells |= mine
    sources = [v for v in board["templating"]["list"] if v["type"] == "datasource"]
    for panel in panels(board):
        assert panel["description"].rstrip().endswith((".", ")")), panel["title"]
        # An imported board finds the Prometheus that is there, whatever its uid.
        [source] = sources
        assert panel["datasource"]["uid"] == f"${{{source['name']}}}"
        assert source["query"] == panel["datasource"]["type"] == datasource["type"]
        assert source["current"]["value"] == datasource["uid"]
    ids = [p["id"] for p in board["panels"]]
    assert len(set(ids)) == len(ids)
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) - {"__rate_interval"}
    assert used <= {v["name"] for v in board["templating"]["list"]}
