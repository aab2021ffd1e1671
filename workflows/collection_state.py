"""What a running collection of a plan knows: the plan, what is under way, and what comes next."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.payments.plan_state import Instalment, InstalmentPlan
from handrail.sagas.events import SagaEnded
from workflows import collect_instalment
from workflows.plan_collection import CollectInstalments, Progress, read_plan


class CollectionState:
    """`collections` are the sagas that collect now, by the instalment's number; `waiting` are the
    numbers of those that wait for a person.

    `busy_with` names the saga that keeps updates from the plan, and `collecting` its instalment.
    """

    def __init__(self, asked: CollectInstalments, progress: Progress) -> None:
        self.asked = asked
        self.progress = progress
        self.collections: dict[int, asyncio.Task[SagaEnded]] = {}
        self.waiting: set[int] = set()
        self.busy_with = ""
        self.collecting: int | None = None

    @property
    def plan(self) -> InstalmentPlan:
        assert self.progress.plan is not None
        return self.progress.plan

    async def read_plan(self) -> None:
        self.update(plan=await read_plan(self.asked.order))

    def next(self) -> tuple[datetime, Instalment] | None:
        """Of those that are not being collected; None while one is that does not wait."""
        if self.collections.keys() - self.waiting:
            return None
        dunning = self.progress.dunning
        instalment = dunning.next(self.plan, self.collections.keys())
        return None if instalment is None else (dunning.when(instalment), instalment)

    def check_is_open(self, number: int | None = None) -> None:
        """For all that is due, or for one instalment: that another is collected is in nobody's way.

        Raises ApplicationError of the type `OutOfOrder`, whose message says why it is not.
        """
        if self.progress.plan is None:
            raise not_now("the plan is about to be read: ask again")
        if not self.plan.due:
            raise not_now(f"nothing of {self.asked.order} is due any more")
        busy = self.busy_with
        if number is not None and self.collecting not in {None, number}:
            busy = ""
        for collected in self.collections:
            if number in {None, collected}:
                busy = collect_instalment.saga_id(self.asked.order, collected)
        if busy:
            raise not_now(f"{busy} is under way: ask again when it has ended")

    def update(self, **changes: Any) -> None:
        """Change the progress, and what the Temporal UI shows of it."""
        self.progress = replace(self.progress, **changes)
        if self.progress.plan is not None:
            workflow.set_current_details(self._details(self.progress.plan))

    def _details(self, plan: InstalmentPlan) -> str:
        found = self.next()
        head = f"asked for next at {found[0]:%Y-%m-%d %H:%M} UTC" if found else "nothing is due"
        if self.collections:
            numbers = ", ".join(map(str, sorted(self.collections)))
            head = f"instalment {numbers} is being collected" + (f", {head}" if found else "")
        rows = "\n".join(
            f"| {row.number} | {row.due} | {row.status} | {row.amount} | {row.fees} "
            f"| {self.progress.dunning.misses(row.number)} |"
            for row in plan.instalments
        )
        return (
            f"**{plan.status}**, {head}\n\n"
            "| | due | status | to be paid | fees | missed |\n|---|---|---|---|---|---|\n" + rows
        )


def not_now(message: str) -> ApplicationError:
    return ApplicationError(message, type="OutOfOrder")
