"""Collect the instalments of a plan, each when it is due, until nothing is due any more.

Each try is an attempt at a saga of its own. One that waits for a person is in nobody's way: others
that are due are collected beside it. One run of this workflow goes from one instalment to the next,
and hears so many wishes at most: the history stays short, and a plan of many years is no longer
than one of a month.

It ends when nothing is due. Where a return that was refused brings something back after that, who
takes the return back begins it anew (`is_collected`).
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import datetime
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from domain.bounds import INSTALMENT_NUMBER, REFERENCE, wrong_due_date
from domain.payments.commands import Reschedule
from handrail import bounds
from handrail.sagas.bounded_arguments import check_bounds
from handrail.sagas.child_workflows import READING, Child, follow_saga, start_again
from handrail.sagas.visibility import SAGA_STATUS
from handrail.sagas.worker_versions import MovesOn, continue_as_new, is_version_changed
from workflows import collect_instalment, settle_early
from workflows.collection_sagas import CollectionSagas
from workflows.collection_state import CollectionState, not_now
from workflows.options import ShopOptions
from workflows.plan_collection import (
    TYPE,
    CollectInstalments,
    Progress,
    read_plan,
    summary_again,
    workflow_id,
)
from workflows.plan_wishes import NewDate, PayAllNow

WISHES_A_RUN: Final = 100
"""Then the workflow continues as a new run: Temporal takes a limited number of updates in each."""


async def is_collected(asked: CollectInstalments, options: ShopOptions, actor: str) -> None:
    """See to it, from another workflow, that somebody collects what is due of the plan."""
    collector = Child(
        name=TYPE,
        workflow=CollectInstalmentsWorkflow,
        input=asked,
        id=workflow_id(asked.order),
        tenant=asked.merchant,
        summary=summary_again(asked),
    )
    while (await read_plan(asked.order)).due:
        if await start_again(collector, options, actor, Progress(reopened=True)):
            return
        # It goes on, and may be about to end: it does not once it has heard this.
        with contextlib.suppress(FailureError):
            await workflow.get_external_workflow_handle(collector.id).signal("look_again")
            return


@workflow.defn(name=TYPE)
class CollectInstalmentsWorkflow(MovesOn):
    @workflow.init
    def __init__(
        self, asked: CollectInstalments, options: ShopOptions, actor: str, progress: Progress | None
    ) -> None:
        known = progress or Progress()
        opened_on = known.opened_on or workflow.info().workflow_start_time.date()
        self._state = CollectionState(asked, replace(known, opened_on=opened_on))
        self._sagas = CollectionSagas(self._state, options, actor)
        self._wishes = 0
        self._is_to_look = False

    @workflow.run
    async def run(
        self,
        asked: CollectInstalments,
        options: ShopOptions,
        actor: str,
        _progress: Progress | None,
    ) -> Progress:
        state = self._state
        await self._look()
        if state.progress.reopened:
            await self._remember()
        for number, known in state.progress.under_way.items():
            saga = collect_instalment.saga_id(asked.order, number)
            state.collections[number] = asyncio.create_task(follow_saga(saga, known))
            state.waiting.add(number)
        while state.plan.due or state.collections:
            await self._until_next()
            if self._is_full:
                break
            await self._act()
            if not state.collections:
                break
        await workflow.wait_condition(workflow.all_handlers_finished)
        await self._look_once_more()
        if state.plan.due or state.collections:
            continue_as_new([asked, options, actor, state.progress])
        workflow.upsert_search_attributes([SAGA_STATUS.value_set("completed")])
        return state.progress

    # Updates, signals and queries.

    @workflow.update(description="Pay all that is left, fees included. Asked twice is asked once.")
    def settle_early(self, wish: PayAllNow) -> str:
        """The id of the saga that does."""
        self._wishes += 1
        if self._state.progress.pay_all is None:
            self._state.update(pay_all=wish)
        return settle_early.saga_id(self._state.asked.order, self._state.plan.settlements)

    @settle_early.validator
    def _may_settle_early(self, wish: PayAllNow) -> None:
        check_bounds((bounds.STORED_ACTOR, wish.actor), (REFERENCE, wish.card or "none"))
        self._state.check_is_open()

    @workflow.update(description="Have one instalment due on another day.")
    async def reschedule(self, wish: NewDate) -> None:
        self._wishes += 1
        number, due = wish.number, wish.due
        command = Reschedule(order=self._state.asked.order, number=number, due=due)
        try:
            await self._sagas.run_command(command, f"Reschedule:{wish.id}", wish.actor)
        except FailureError as failure:
            raise _broken_rule(failure) from None
        self._state.update(dunning=self._state.progress.dunning.without_pause(number))
        await self._look()

    @reschedule.validator
    def _may_reschedule(self, wish: NewDate) -> None:
        check_bounds(
            (bounds.STORED_ACTOR, wish.actor),
            (bounds.WISH, wish.id),
            (INSTALMENT_NUMBER, wish.number),
        )
        self._state.check_is_open(wish.number)
        if message := wrong_due_date(wish.due, workflow.now().date()):
            raise not_now(message)

    @workflow.signal(description="The plan has changed: look at it before anything else.")
    def look_again(self) -> None:
        self._is_to_look = True

    @workflow.signal(description="The collection of an instalment waits for a person.")
    def collection_waits(self, number: int) -> None:
        self._state.waiting.add(number)

    @workflow.query(description="The plan, and what becomes of what was missed.")
    def progress(self) -> Progress:
        return self._state.progress

    # The steps of a run.

    async def _look(self) -> None:
        self._is_to_look = False
        await self._state.read_plan()

    async def _look_once_more(self) -> None:
        """Where `look_again` came while the workflow was about to end."""
        while self._is_to_look:
            await self._look()

    async def _remember(self) -> None:
        """What an earlier process of this plan knew of misses."""
        state = self._state
        missed: dict[int, int] = await workflow.execute_local_activity(
            "ReadMisses", state.asked.order, result_type=dict[int, int], **READING
        )
        now, terms = workflow.now(), state.asked.terms
        state.update(dunning=state.progress.dunning.with_misses(missed, now, terms))

    @property
    def _is_full(self) -> bool:
        is_long = workflow.info().is_continue_as_new_suggested()
        return self._wishes >= WISHES_A_RUN or is_long or is_version_changed()

    @property
    def _is_woken(self) -> bool:
        collections = self._state.collections
        ended = any(collection.done() for collection in collections.values())
        to_pay = self._state.progress.pay_all is not None and not collections
        return ended or to_pay or self._is_to_look or self._is_full

    async def _until_next(self) -> None:
        """Until an instalment is to be asked for, all is to be paid, or a collection has ended."""
        while not self._is_woken:
            found = self._state.next()
            if found is None and not self._state.collections:
                return
            at = found[0] if found else None
            if at is not None and at <= workflow.now():
                return
            await self._changes(at)

    async def _changes(self, at: datetime | None) -> None:
        """Until it is `at`, or something else is to be done or waited for."""

        def changed() -> bool:
            found = self._state.next()
            return self._is_woken or (found[0] if found else None) != at

        wait = at - workflow.now() if at else None
        try:
            await workflow.wait_condition(changed, timeout=wait, timeout_summary="next instalment")
        except TimeoutError:
            return

    async def _act(self) -> None:
        """On the plan as it is now: returns may have made it smaller since the last look."""
        state = self._state
        await workflow.wait_condition(workflow.all_handlers_finished)
        state.busy_with = "the instalments"
        await self._look()
        for number, collection in list(state.collections.items()):
            if collection.done():
                del state.collections[number]
                await self._sagas.conclude(number, collection.result())
        found, pay_all = state.next(), state.progress.pay_all
        if found is not None and pay_all is not None and not state.collections:
            await self._sagas.settle(pay_all)
        elif found is not None and found[0] <= workflow.now():
            await self._sagas.collect(found[1])
        await self._look()
        state.busy_with, state.collecting = "", None


def _broken_rule(failure: FailureError) -> ApplicationError:
    """What a broken rule says, to the requester that broke it."""
    cause = failure.cause if isinstance(failure, ActivityError) and failure.cause else failure
    kind = cause.type if isinstance(cause, ApplicationError) else None
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    return ApplicationError(message, type=kind)
