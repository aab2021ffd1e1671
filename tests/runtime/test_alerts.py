"""The alert rules: what they ask for is really served, and each says what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from runtime.dashboards import DASHBOARDS
from tests.api import conftest as served
from tests.api.conftest import House
from tests.api.shop import open_shop, place, settled
from tests.runtime.asked_of_prometheus import family, metrics_of
from tests.runtime.conftest import ROOT

FILE = ROOT / "docker" / "prometheus" / "alerts.yml"
CASES = ROOT / "tests" / "runtime" / "alert_cases.yml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]
]
BY_SCRAPING = {"instance", "job"}  # labels that Prometheus adds
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])

house = served.house

Series = Mapping[str, Mapping[str, set[str]]]
"""By metric and label, its values."""


@dataclass(frozen=True)
class Asked:
    metric: str
    labels: frozenset[str]
    """That it is selected or grouped by."""
    selected: Mapping[str, str]


def asked_by(expression: str) -> Iterator[Asked]:
    yield from _asked(promql.parse(expression), frozenset())


def _asked(node: Any, grouped: frozenset[str]) -> Iterator[Asked]:
    match node:
        case promql.VectorSelector():
            equal = {
                one.name: one.value
                for one in node.matchers.matchers
                if one.op == promql.MatchOp.Equal
            }
            labels = {one.name for one in node.matchers.matchers}
            yield Asked(str(node.name), grouped | labels, equal)
        case promql.MatrixSelector():
            yield from _asked(node.vector_selector, grouped)
        case promql.AggregateExpr():
            by = node.modifier.labels if node.modifier else []
            yield from _asked(node.expr, grouped.union(by))
        case promql.BinaryExpr():
            yield from _asked(node.lhs, grouped)
            yield from _asked(node.rhs, grouped)
        case promql.Call():
            for one in node.args:
                yield from _asked(one, grouped)
        case promql.ParenExpr():
            yield from _asked(node.expr, grouped)
        case promql.NumberLiteral():
            pass
        case _:
            pytest.fail(f"this test cannot read {type(node).__name__}")


@pytest.fixture(scope="module")
async def metrics(house: House) -> Series:
    """What the application serves where one saga is parked, and there are a relay and a lake."""
    async with house.api(deadline_seconds=0.5, patience_seconds=0.5) as api:
        shop = await open_shop(api)
        saga = (await place(api, shop, wait=None, ship_to="addr_undeliverable")).json()["saga"]
        await settled(api, saga, "parked")
    await house.sql(
        "INSERT INTO checkpoints (projection, shard, since)"
        " VALUES ('relay', 0, '1:1:'), ('lake', 0, '1:1:')"
    )
    async with house.api() as api:
        text = (await api.get("/metrics")).text
    await house.sql("DELETE FROM checkpoints WHERE projection IN ('relay', 'lake')")
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in text_string_to_metric_families(text):
        for sample in one.samples:
            for label, value in sample.labels.items():
                found[sample.name][label].add(value)
            found[sample.name].keys()
    return found


def test_the_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in RULES]

    assert len(set(names)) == len(names) >= 10


@each_rule
def test_every_metric_and_label_that_an_alert_asks_for_is_served(
    rule: Mapping[str, Any], metrics: Series
) -> None:
    found = list(asked_by(rule["expr"]))

    assert found
    for asked in found:
        assert asked.metric in metrics
        served_as = metrics[asked.metric]
        assert asked.labels <= served_as.keys(), asked.metric
        assert all(value in served_as[label] for label, value in asked.selected.items()), asked


@each_rule
def test_an_alert_says_how_bad_it_is_what_it_is_and_what_to_do(rule: Mapping[str, Any]) -> None:
    said = rule["annotations"]
    named = set(re.findall(r"\$labels\.(\w+)", said["summary"]))
    aggregated = [one.labels - one.selected.keys() for one in asked_by(rule["expr"])]

    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert said["summary"].endswith(".")
    assert all(named <= labels | BY_SCRAPING for labels in aggregated)


@each_rule
def test_the_runbook_of_an_alert_is_a_heading(rule: Mapping[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^##+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)

    assert anchor == rule["alert"].lower()
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


@each_rule
def test_the_dashboard_of_an_alert_shows_what_it_asks_for(rule: Mapping[str, Any]) -> None:
    path = rule["annotations"]["dashboard"]
    [board] = [one for one in DASHBOARDS if path == f"/d/{one.uid}"]
    shown = {family(metric) for query in board.queries() for metric in metrics_of(query)}
    assert {family(one.metric) for one in asked_by(rule["expr"])} <= shown


def test_every_alert_that_is_explained_exists() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "alerts.md").read_text(), re.MULTILINE)

    assert set(headings) == {rule["alert"] for rule in RULES}


def test_every_alert_is_tried() -> None:
    """By the cases that promtool runs."""
    tried = {
        one["alertname"]
        for test in yaml.safe_load(CASES.read_text())["tests"]
        for one in test["alert_rule_test"]
        if one.get("exp_alerts")
    }

    assert tried == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("how", [("check", FILE), ("test", CASES)], ids=lambda how: how[0])
def test_prometheus_itself_takes_the_rules(how: tuple[str, Any]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NOT TESTED: promtool is not installed (Debian: apt-get install prometheus)")
    what, file = how

    done = subprocess.run(
        [promtool, what, "rules", str(file)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
