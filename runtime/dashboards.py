"""The dashboards of the shop, and all of them as files: `python -m runtime.dashboards`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from handrail.dashboards import of_the_library
from handrail.dashboards.grafana import Dashboard, Panel, Query

FOLDER: Final = Path(__file__).parents[1] / "docker" / "grafana" / "dashboards"
_CHECKOUT: Final = 'type="Checkout"'

SHOP: Final = Dashboard(
    uid="handrail-shop",
    title="Shop: orders",
    panels=(
        Panel(
            title="Orders decided in time",
            says="Of the last 15 minutes: the share of customers who had their answer within 0.5 s,"
            " and within 2.5 s.",
            unit="percentunit",
            queries=tuple(
                Query(
                    "max(rate(handrail_saga_decision_seconds_bucket"
                    f'{{{_CHECKOUT},le="{seconds}"}}[15m]))'
                    f" / max(rate(handrail_saga_decision_seconds_count{{{_CHECKOUT}}}[15m]))",
                    f"within {seconds} s",
                )
                for seconds in ("0.5", "2.5")
            ),
        ),
        Panel(
            title="Orders per hour, by ending",
            says="Completed ones are sold; refused ones were declined by credit, stock or bank.",
            queries=(
                Query(
                    f"max by (ending) (increase(handrail_sagas_ended_total{{{_CHECKOUT}}}[1h]))",
                    "{{ending}}",
                ),
            ),
        ),
        Panel(
            title="Why orders came to nothing, in an hour",
            says="A cause that grows alone: a partner, a stock, a rule.",
            queries=(
                Query(
                    "max by (because)"
                    f" (increase(handrail_sagas_turned_back_total{{{_CHECKOUT}}}[1h]))",
                    "{{because}}",
                ),
            ),
        ),
        Panel(
            title="Deliveries and instalment plans under way",
            says="They wait for days, and that is as it should be.",
            queries=(
                Query(
                    'max by (type, status) (handrail_sagas{type!="Checkout"})',
                    "{{type}} {{status}}",
                ),
            ),
        ),
        Panel(
            title="Steps at the bank and the carrier, by outcome",
            says="`unknown` is a partner that gave no definite answer.",
            queries=(
                Query(
                    "60 * max by (step, outcome) (rate(handrail_saga_steps_total{"
                    'step=~".*(Payment|Shipment).*"}[5m]))',
                    "{{step}} {{outcome}}",
                ),
            ),
        ),
        Panel(
            title="Orders as people place them",
            says="Answers of `POST /orders`, by status: 201 and 202 are taken, 4xx are refused at"
            " once, 5xx are ours.",
            unit="reqps",
            queries=(
                Query(
                    "sum by (status) (rate(handrail_http_request_seconds_count"
                    '{method="POST",route="/orders"}[5m]))',
                    "{{status}}",
                ),
            ),
        ),
    ),
)

DASHBOARDS: Final = (*of_the_library.DASHBOARDS, SHOP)


def files() -> Mapping[str, str]:
    """By name, what each file holds."""
    return {f"{one.uid}.json": json.dumps(one.as_json(), indent=2) + "\n" for one in DASHBOARDS}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text)
