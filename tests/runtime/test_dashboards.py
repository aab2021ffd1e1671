"""The dashboards are made by code, and ask for what is served."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from handrail.dashboards import of_the_library
from handrail.dashboards.grafana import Panel
from handrail.messaging.relay.publisher import Counted
from handrail.processes.relay import _Counts
from handrail.projections.saga_figures import BUCKETS
from runtime.dashboards import DASHBOARDS, FOLDER, files
from tests.api import conftest as served
from tests.api.conftest import House
from tests.runtime import test_alerts
from tests.runtime.asked_of_prometheus import family, metrics_of
from tests.runtime.conftest import ROOT

house = served.house

PANELS = [(board.uid, panel) for board in DASHBOARDS for panel in board.panels]
ELSEWHERE = re.compile(
    "handrail_(projector|relay|lake|notifier|dispatcher)_|temporal_|process_"
    "|handrail_consumer_(checkpoints|events|holding|in_flight|late|messages|subscribed)"
)
"""Metrics of other processes than the API: a journey sees them."""
ALERTS = [rule["expr"] for rule in test_alerts.RULES]
each_panel = pytest.mark.parametrize(
    "panel", [panel for _, panel in PANELS], ids=[f"{uid} {panel.title}" for uid, panel in PANELS]
)


def shown() -> set[str]:
    """The families of metrics on panels and in alerts."""
    asked = [query for board in DASHBOARDS for query in board.queries()]
    return {family(metric) for one in (*asked, *ALERTS) for metric in metrics_of(one)}


def test_the_files_are_what_the_code_makes() -> None:
    there = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert there == files(), "python -m runtime.dashboards writes them"


def test_every_dashboard_has_an_address_of_its_own() -> None:
    assert len({one.uid for one in DASHBOARDS}) == len(DASHBOARDS)
    assert len({one.title for one in DASHBOARDS}) == len(DASHBOARDS)


@each_panel
def test_a_panel_says_what_to_read_from_it_and_asks_in_promql(panel: Panel) -> None:
    assert panel.says.endswith(".")
    assert panel.queries
    for query in panel.queries:
        assert metrics_of(query.expression)
        grouped = re.findall(r"by \(([\w, ]+)\)", query.expression)
        named = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
        known = {"instance", "job", *", ".join(grouped).split(", ")}
        assert named <= known, "a legend names labels that its query keeps"


@pytest.fixture(scope="module")
async def of_the_api(house: House) -> set[str]:
    """The families of metrics that an API process serves, also those without a sample yet."""
    async with house.api() as api:
        text = (await api.get("/metrics")).text
    return {family(one.name) for one in text_string_to_metric_families(text)}


def test_a_bucket_that_a_panel_asks_for_is_one_and_has_one_name_in_every_prometheus() -> None:
    """Prometheus 3 keeps `10` as `10.0`, Prometheus 2 as it came."""
    queries = [one for board in DASHBOARDS for one in board.queries()]
    asked = {edge for one in queries for edge in re.findall(r'le="([^"]+)"', one)}
    assert asked
    assert asked <= set(BUCKETS)
    assert all("." in edge for edge in asked)


def test_every_metric_of_the_api_is_on_a_panel_or_in_an_alert(of_the_api: set[str]) -> None:
    assert of_the_api - shown() == set()


def test_every_count_of_a_relay_is_on_a_panel_or_in_an_alert() -> None:
    assert {family(one.name) for one in _Counts(Counted()).collect()} - shown() == set()


def test_every_metric_of_the_api_that_a_panel_asks_for_is_served(of_the_api: set[str]) -> None:
    assert {one for one in shown() if not ELSEWHERE.match(one)} - of_the_api == set()


def test_the_library_has_dashboards_without_the_shop() -> None:
    text = str([board.as_json() for board in of_the_library.DASHBOARDS])
    assert "Checkout" not in text
    assert len(of_the_library.DASHBOARDS) == len(DASHBOARDS) - 1


def test_the_dashboards_lie_where_grafana_reads_them() -> None:
    provisioned = (
        ROOT / "docker" / "grafana" / "provisioning" / "dashboards" / "handrail.yml"
    ).read_text()
    assert "/docker/grafana/dashboards" in provisioned
