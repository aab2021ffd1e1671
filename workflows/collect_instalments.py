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
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from domain.bounds import INSTALMENT_NUMBER, REFERENCE, wrong_due_date
from domain.identifiers import CustomerId, MerchantId, OrderId
from domain.payments.commands import ChargeLateFee, Reschedule
from domain.payments.plan_state import Instalment, InstalmentPlan
from handrail import bounds
from handrail.kernel import Command, Money, context_of
from handrail.sagas.bounded_arguments import check_bounds
from handrail.sagas.child_workflows import (
    READING,
    Child,
    follow_saga,
    last_attempt,
    run_saga,
    start_again,
)
from handrail.sagas.events import SagaEnded
from handrail.sagas.step_keys import Answer, StepContext, StepKey
from handrail.sagas.visibility import SAGA_STATUS
from workflows import collect_instalment, settle_early, write_off
from workflows.dunning import Dunning, Terms
from workflows.options import ShopOptions
from workflows.plan_wishes import NewDate, PayAllNow

TYPE: Final = "CollectInstalments"
WISHES_A_RUN: Final = 100
"""Then the workflow continues as a new run: Temporal takes a limited number of updates in each."""
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
    while (await _read_plan(asked.order)).due:
        if await start_again(collector, options, actor, Progress(reopened=True)):
            return
        # It goes on, and may be about to end: it does not once it has heard this.
        with contextlib.suppress(FailureError):
            await workflow.get_external_workflow_handle(collector.id).signal("look_again")
            return


async def _read_plan(order: OrderId) -> InstalmentPlan:
    plan: InstalmentPlan = await workflow.execute_local_activity(
        "ReadPlan", order, result_type=InstalmentPlan, **READING
    )
    return plan


@workflow.defn(name=TYPE)
class CollectInstalmentsWorkflow:
    @workflow.init
    def __init__(
        self, asked: CollectInstalments, options: ShopOptions, actor: str, progress: Progress | None
    ) -> None:
        self._asked = asked
        self._options = options
        self._actor = actor
        now = progress or Progress()
        opened_on = now.opened_on or workflow.info().workflow_start_time.date()
        self._now = replace(now, opened_on=opened_on)
        self._asking_for = ""
        self._collecting: int | None = None
        self._collections: dict[int, asyncio.Task[SagaEnded]] = {}
        self._waiting: set[int] = set()
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
        await self._look()
        if self._now.reopened:
            await self._remember()
        for number, known in self._now.under_way.items():
            saga = collect_instalment.saga_id(asked.order, number)
            self._collections[number] = asyncio.create_task(follow_saga(saga, known))
            self._waiting.add(number)
        while self._plan.due or self._collections:
            await self._until_next()
            if self._is_full:
                break
            await self._act()
            if not self._collections:
                break
        await workflow.wait_condition(workflow.all_handlers_finished)
        await self._look_once_more()
        if self._plan.due or self._collections:
            workflow.continue_as_new(args=[asked, options, actor, self._now])
        workflow.upsert_search_attributes([SAGA_STATUS.value_set("completed")])
        return self._now

    # What it is told.

    @workflow.update(description="Pay all that is left, fees included. Asked twice is asked once.")
    def settle_early(self, wish: PayAllNow) -> str:
        """The id of the saga that does."""
        self._wishes += 1
        if self._now.pay_all is None:
            self._moved(pay_all=wish)
        return settle_early.saga_id(self._asked.order, self._plan.settlements)

    @settle_early.validator
    def _may_settle_early(self, wish: PayAllNow) -> None:
        check_bounds((bounds.STORED_ACTOR, wish.actor), (REFERENCE, wish.card or "none"))
        self._check_is_open()

    @workflow.update(description="Have one instalment due on another day.")
    async def reschedule(self, wish: NewDate) -> None:
        self._wishes += 1
        number, due = wish.number, wish.due
        command = Reschedule(order=self._asked.order, number=number, due=due)
        try:
            await self._do(command, f"Reschedule:{wish.id}", wish.actor)
        except FailureError as failure:
            raise _as_told(failure) from None
        self._moved(dunning=self._now.dunning.without_pause(number))
        await self._look()

    @reschedule.validator
    def _may_reschedule(self, wish: NewDate) -> None:
        check_bounds(
            (bounds.STORED_ACTOR, wish.actor),
            (bounds.WISH, wish.id),
            (INSTALMENT_NUMBER, wish.number),
        )
        self._check_is_open(wish.number)
        if said := wrong_due_date(wish.due, workflow.now().date()):
            raise _not_now(said)

    @workflow.signal(description="The plan has changed: look at it before anything else.")
    def look_again(self) -> None:
        self._is_to_look = True

    @workflow.signal(description="The collection of an instalment waits for a person.")
    def collection_waits(self, number: int) -> None:
        self._waiting.add(number)

    @workflow.query(description="The plan, and what becomes of what was missed.")
    def progress(self) -> Progress:
        return self._now

    # The story.

    @property
    def _plan(self) -> InstalmentPlan:
        assert self._now.plan is not None
        return self._now.plan

    async def _look(self) -> None:
        self._is_to_look = False
        self._moved(plan=await _read_plan(self._asked.order))

    async def _look_once_more(self) -> None:
        """Where it was told to, while it was about to end."""
        while self._is_to_look:
            await self._look()

    async def _remember(self) -> None:
        """What an earlier process of this plan knew of misses."""
        missed: dict[int, int] = await workflow.execute_local_activity(
            "ReadMisses", self._asked.order, result_type=dict[int, int], **READING
        )
        now, terms = workflow.now(), self._asked.terms
        self._moved(dunning=self._now.dunning.with_misses(missed, now, terms))

    def _next(self) -> tuple[datetime, Instalment] | None:
        """Of those that are not being collected; None while one is that does not wait."""
        if self._collections.keys() - self._waiting:
            return None
        one = self._now.dunning.next(self._plan, self._collections.keys())
        return None if one is None else (self._now.dunning.when(one), one)

    @property
    def _is_full(self) -> bool:
        return self._wishes >= WISHES_A_RUN or workflow.info().is_continue_as_new_suggested()

    @property
    def _is_woken(self) -> bool:
        ended = any(one.done() for one in self._collections.values())
        to_pay = self._now.pay_all is not None and not self._collections
        return ended or to_pay or self._is_to_look or self._is_full

    async def _until_next(self) -> None:
        """Until an instalment is to be asked for, all is to be paid, or a collection has ended."""
        while not self._is_woken:
            found = self._next()
            if found is None and not self._collections:
                return
            at = found[0] if found else None
            if at is not None and at <= workflow.now():
                return
            await self._changes(at)

    async def _changes(self, at: datetime | None) -> None:
        """Until it is `at`, or something else is to be done or waited for."""

        def changed() -> bool:
            found = self._next()
            return self._is_woken or (found[0] if found else None) != at

        wait = at - workflow.now() if at else None
        try:
            await workflow.wait_condition(changed, timeout=wait, timeout_summary="next instalment")
        except TimeoutError:
            return

    async def _act(self) -> None:
        """On the plan as it is now: returns may have made it smaller since the last look."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._asking_for = "the instalments"
        await self._look()
        for number, collection in list(self._collections.items()):
            if collection.done():
                del self._collections[number]
                await self._conclude(number, collection.result())
        found = self._next()
        if found is not None and self._now.pay_all is not None and not self._collections:
            await self._settle(self._now.pay_all)
        elif found is not None and found[0] <= workflow.now():
            await self._collect(found[1])
        await self._look()
        self._asking_for, self._collecting = "", None

    async def _collect(self, one: Instalment) -> None:
        asked, number = self._asked, one.number
        due = collect_instalment.DueInstalment(
            order=asked.order,
            customer=asked.customer,
            merchant=asked.merchant,
            number=number,
            principal=one.amount,
            fees=one.fees,
            card=self._plan.card,
        )
        collection = collect_instalment.SAGA.child(due)
        if not workflow.patched(SIDE_BY_SIDE):
            self._collecting = number
            await self._conclude(number, await self._run_saga(collection))
            return
        attempt = await self._next_attempt(collection.id)
        self._waiting.discard(number)
        story = run_saga(
            collection,
            self._options,
            self._actor,
            attempt,
            when_parked=lambda: self._waiting.add(number),
        )
        self._collections[number] = asyncio.create_task(story)
        self._moved(under_way={**self._now.under_way, number: attempt})

    async def _conclude(self, number: int, ended: SagaEnded) -> None:
        """What follows from how the collection of an instalment has ended."""
        terms = self._asked.terms
        under_way = {one: known for one, known in self._now.under_way.items() if one != number}
        # It may be a later one: a person has it begun where a workflow stopped before its end.
        attempts = {**self._now.attempts, ended.saga: ended.attempt}
        self._moved(under_way=under_way, attempts=attempts)
        if ended.ending == "completed":
            return
        # What a person has taken back is no miss of the customer's.
        if ended.ending == "refused":
            self._moved(dunning=self._now.dunning.with_miss(number))
            if self._now.dunning.is_given_up(number, terms):
                if self._may_give_up:
                    await self._give_up()
            elif self._now.dunning.is_late(number):
                await self._charge_fee(number)
        self._moved(dunning=self._now.dunning.with_pause(number, workflow.now(), terms))

    @property
    def _may_give_up(self) -> bool:
        """Not while nobody knows what is lost: then it is asked for once more."""
        known = not (self._collections or self._plan.in_doubt)
        return known or not workflow.patched(SIDE_BY_SIDE)

    async def _settle(self, wish: PayAllNow) -> None:
        asked, plan = self._asked, self._plan
        settlement = settle_early.Settlement(
            order=asked.order,
            customer=asked.customer,
            merchant=asked.merchant,
            principal=plan.outstanding,
            fees=plan.fees_due,
            card=wish.card or plan.card,
            payment=settle_early.payment_name(plan.settlements),
        )
        await self._run_saga(
            settle_early.SAGA.child(
                settlement, id=settle_early.saga_id(asked.order, plan.settlements)
            ),
            wish.actor,
        )
        self._moved(pay_all=None)

    async def _give_up(self) -> None:
        asked = self._asked
        await self._look()
        debt = write_off.LostDebt(
            order=asked.order,
            customer=asked.customer,
            merchant=asked.merchant,
            principal=self._plan.outstanding,
        )
        await self._run_saga(
            write_off.SAGA.child(debt, id=write_off.saga_id(asked.order, self._plan.write_offs))
        )

    async def _charge_fee(self, number: int) -> None:
        fee = Money(self._asked.terms.late_fee, self._plan.paid_principal.currency)
        reminder = self._now.dunning.misses(number)
        if fee.amount > 0:
            command = ChargeLateFee(
                order=self._asked.order, number=number, fee=fee, reminder=reminder
            )
            await self._do(command, f"ChargeLateFee:{number}:{reminder}", self._actor)

    async def _run_saga(self, child: Child, actor: str = "") -> SagaEnded:
        self._asking_for = child.id
        attempt = await self._next_attempt(child.id)
        ended = await run_saga(child, self._options, actor or self._actor, attempt)
        # It may be a later one: a person has it begun where a workflow stopped before its end.
        self._moved(attempts={**self._now.attempts, child.id: ended.attempt})
        return ended

    async def _next_attempt(self, saga: str) -> int:
        known = self._now.attempts.get(saga)
        if known is None and self._now.reopened:
            known = await last_attempt(saga)
        return (known or 0) + 1

    async def _do(self, command: Command, key: str, actor: str) -> Answer:
        """Have one command done, without a saga; once for each key."""
        name = type(command).__name__
        step = StepKey(
            saga=workflow.info().workflow_id,
            attempt=1,
            step=key,
            opened_on=self._now.opened_on or workflow.now().date(),
        )
        context = StepContext(
            key=step,
            actor=actor,
            tenant=self._asked.merchant,
            traceparent=self._options.traceparent,
            alone=True,
        )
        how: dict[str, Any] = {"args": [command, context], "result_type": Answer}
        answer: Answer
        if self._options.steps == "local":
            answer = await workflow.execute_local_activity(name, **how, **READING)
            return answer
        queue = self._options.queue_prefix + context_of(type(command))
        remote = {name: READING[name] for name in ("start_to_close_timeout", "retry_policy")}
        answer = await workflow.execute_activity(name, task_queue=queue, **how, **remote)
        return answer

    # What others see of it.

    def _check_is_open(self, number: int | None = None) -> None:
        """For all that is due, or for one instalment: that another is collected is in nobody's way.

        Raises ApplicationError of the type `OutOfOrder`, whose message says why it is not.
        """
        if self._now.plan is None:
            raise _not_now("the plan is about to be read: ask again")
        if not self._plan.due:
            raise _not_now(f"nothing of {self._asked.order} is due any more")
        busy = self._asking_for
        if number is not None and self._collecting not in {None, number}:
            busy = ""
        for one in self._collections:
            if number in {None, one}:
                busy = collect_instalment.saga_id(self._asked.order, one)
        if busy:
            raise _not_now(f"{busy} is under way: ask again when it has ended")

    def _moved(self, **changes: Any) -> None:
        self._now = replace(self._now, **changes)
        if self._now.plan is not None:
            self._show(self._now.plan)

    def _show(self, plan: InstalmentPlan) -> None:
        found = self._next()
        head = f"asked for next at {found[0]:%Y-%m-%d %H:%M} UTC" if found else "nothing is due"
        if self._collections:
            numbers = ", ".join(map(str, sorted(self._collections)))
            head = f"instalment {numbers} is being collected" + (f", {head}" if found else "")
        rows = "\n".join(
            f"| {one.number} | {one.due} | {one.status} | {one.amount} | {one.fees} "
            f"| {self._now.dunning.misses(one.number)} |"
            for one in plan.instalments
        )
        workflow.set_current_details(
            f"**{plan.status}**, {head}\n\n"
            "| | due | status | to be paid | fees | missed |\n|---|---|---|---|---|---|\n" + rows
        )


def _not_now(said: str) -> ApplicationError:
    return ApplicationError(said, type="OutOfOrder")


def _as_told(failure: FailureError) -> ApplicationError:
    """What a broken rule says, to whoever broke it."""
    cause = failure.cause if isinstance(failure, ActivityError) and failure.cause else failure
    kind = cause.type if isinstance(cause, ApplicationError) else None
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    return ApplicationError(message, type=kind)
