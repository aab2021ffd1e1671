"""The shop's part of the lake: its views and questions, and the report of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from consumers.lake_questions import ARREARS, DELIVERY, QUESTIONS, REFUSALS, VIEWS, VINTAGES
from handrail.lake.plan import LakePlan, Part


def parts() -> Sequence[Part]:
    """The sections of the report."""
    from consumers.lake_report import charts  # noqa: PLC0415  # they need Matplotlib

    return (
        Part(
            question=REFUSALS,
            says="How often whom was refused what. A merchant with many refusals of one kind has"
            " one problem: no stock, customers at their limits, or a bank that says no.",
            draw=charts.refusals,
        ),
        Part(
            question=DELIVERY,
            says="How long half of the parcels took from the order to the door, and nine tenths of"
            " them, by the week of the order.",
            draw=charts.delivery,
            drawable=lambda row: row["half_within_hours"] is not None,
        ),
        Part(
            question=VINTAGES,
            says="Each curve is the plans of one month, the newest the strongest. A new curve above"
            " the old ones at the same age means that the new business pays worse.",
            draw=charts.vintages,
        ),
        Part(
            question=ARREARS,
            says="The same plans as they stand now, in units of their currency.",
        ),
    )


TILES: Final = """
SELECT
    count(*) AS "events",
    count(DISTINCT stream) AS "streams",
    count(*) FILTER (type = 'OrderPlaced') AS "orders",
    count(*) FILTER (type = 'OrderRejected' OR type = 'StepRefused') AS "refused steps",
    count(*) FILTER (type = 'ShipmentDelivered') AS "deliveries",
    count(*) FILTER (type = 'PlanOpened') AS "plans"
FROM events
"""

LAKE: Final = LakePlan(views=VIEWS, questions=QUESTIONS, tiles=TILES, parts=parts)
