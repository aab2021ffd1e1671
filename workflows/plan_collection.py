"""The process that collects a plan: its input, what one run hands on to the next, and its id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from temporalio import workflow

from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.payments.plan_state import InstalmentPlan
from handrail.sagas.child_workflows import READING
from workflows.dunning import Dunning, Terms
from workflows.plan_wishes import PayAllNow

TYPE: Final = "CollectInstalments"
SIDE_BY_SIDE: Final = "collects-side-by-side"
"""The patch from which on a collection that goes on is in nobody's way."""


@dataclass(frozen=True, kw_only=True)
class CollectInstalments:
    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What one run hands on to the next. `attempts` are those at each saga so far, by its id.

    `under_way` are the attempts at collections that have not ended, by the instalment's number.
    `opened_on` is the day of the first run, which is part of the keys of commands. `reopened` is
    whether an earlier process of the same plan has ended: what it knew is read from the stores.
    """

    plan: InstalmentPlan | None = None
    dunning: Dunning = field(default_factory=Dunning)
    attempts: Mapping[str, int] = field(default_factory=dict)
    pay_all: PayAllNow | None = None
    under_way: Mapping[int, int] = field(default_factory=dict)
    opened_on: date | None = None
    reopened: bool = False


def workflow_id(order: str) -> str:
    return f"plan-{order}"


def summary_again(asked: CollectInstalments) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{asked.merchant}: what came back to the plan"


async def read_plan(order: OrderId) -> InstalmentPlan:
    plan: InstalmentPlan = await workflow.execute_local_activity(
        "ReadPlan", order, result_type=InstalmentPlan, **READING
    )
    return plan
