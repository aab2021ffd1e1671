"""Collect the instalments of a plan, each when it is due, until nothing is due any more.

Each try is an attempt at a saga of its own. One run of this workflow goes from one instalment to
the next: the history stays short, and a plan of many years is no longer than one of a month.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from domain import bounds
from domain.kernel import Command, CustomerId, MerchantId, Money, OrderId, context_of
from domain.payments.commands import ChargeLateFee, Reschedule
from domain.payments.instalments import Instalment, InstalmentPlan
from domain.sagas.events import SagaEnded
from domain.sagas.steps import Answer, StepContext, StepKey
from workflows import collect_instalment, settle_early, write_off
from workflows.children import READING, Child, run_saga
from workflows.dunning import Dunning, Terms
from workflows.messages import RunOptions
from workflows.timeline import SAGA_STATUS

TYPE: Final = "CollectInstalments"


@dataclass(frozen=True, kw_only=True)
class CollectInstalments:
    order: OrderId
    customer: CustomerId
    merchant: MerchantId
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, kw_only=True)
class PayAllNow:
    """The customer wants to pay all that is left; by the plan's card where `card` is empty."""

    actor: str
    card: str = ""


@dataclass(frozen=True, kw_only=True)
class NewDate:
    """One instalment is to be due on another day. The same `id` twice is one wish."""

    id: str
    number: int
    due: date
    actor: str


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What one run hands on to the next. `attempts` are those at each saga so far, by its id."""

    plan: InstalmentPlan | None = None
    dunning: Dunning = field(default_factory=Dunning)
    attempts: Mapping[str, int] = field(default_factory=dict)
    pay_all: PayAllNow | None = None


def workflow_id(order: str) -> str:
    return f"plan-{order}"


@workflow.defn(name=TYPE)
class CollectInstalmentsWorkflow:
    @workflow.init
    def __init__(
        self, asked: CollectInstalments, options: RunOptions, actor: str, progress: Progress | None
    ) -> None:
        self._asked = asked
        self._options = options
        self._actor = actor
        self._now = progress or Progress()
        self._asking_for = ""
        self._collecting: int | None = None

    @workflow.run
    async def run(
        self, asked: CollectInstalments, options: RunOptions, actor: str, _progress: Progress | None
    ) -> Progress:
        await self._look()
        if self._plan.due:
            await self._until_next()
            await self._act()
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._plan.due:
            workflow.continue_as_new(args=[asked, options, actor, self._now])
        workflow.upsert_search_attributes([SAGA_STATUS.value_set("completed")])
        return self._now

    # What it is told.

    @workflow.update(description="Pay all that is left, fees included. Asked twice is asked once.")
    def settle_early(self, wish: PayAllNow) -> None:
        if self._now.pay_all is None:
            self._moved(pay_all=wish)

    @settle_early.validator
    def _may_settle_early(self, wish: PayAllNow) -> None:
        _check((bounds.ACTOR, wish.actor), (bounds.REFERENCE, wish.card or "none"))
        self._check_is_open()

    @workflow.update(description="Have one instalment due on another day.")
    async def reschedule(self, wish: NewDate) -> None:
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
        _check(
            (bounds.ACTOR, wish.actor),
            (bounds.WISH, wish.id),
            (bounds.INSTALMENT_NUMBER, wish.number),
        )
        self._check_is_open(wish.number)
        if said := bounds.wrong_due_date(wish.due, workflow.now().date()):
            raise _not_now(said)

    @workflow.query(description="The plan, and what becomes of what was missed.")
    def progress(self) -> Progress:
        return self._now

    # The story.

    @property
    def _plan(self) -> InstalmentPlan:
        assert self._now.plan is not None
        return self._now.plan

    async def _look(self) -> None:
        plan: InstalmentPlan = await workflow.execute_local_activity(
            "ReadPlan", self._asked.order, result_type=InstalmentPlan, **READING
        )
        self._moved(plan=plan)

    def _next(self) -> tuple[datetime, Instalment] | None:
        one = self._now.dunning.next(self._plan)
        return None if one is None else (self._now.dunning.when(one), one)

    async def _until_next(self) -> None:
        """Until an instalment is to be asked for, or all is to be paid."""
        while self._now.pay_all is None and (found := self._next()):
            at, _ = found
            if (wait := at - workflow.now()) <= timedelta():
                return
            await self._changes_within(wait, at)

    async def _changes_within(self, wait: timedelta, at: datetime) -> None:
        def changed() -> bool:
            found = self._next()
            return self._now.pay_all is not None or found is None or found[0] != at

        try:
            await workflow.wait_condition(changed, timeout=wait, timeout_summary="next instalment")
        except TimeoutError:
            return

    async def _act(self) -> None:
        """On the plan as it is now: returns may have made it smaller since the last look."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._asking_for = "the instalments"
        await self._look()
        found = self._next()
        if found is not None and self._now.pay_all is not None:
            await self._settle(self._now.pay_all)
        elif found is not None and found[0] <= workflow.now():
            await self._collect(found[1])
        await self._look()
        self._asking_for, self._collecting = "", None

    async def _collect(self, one: Instalment) -> None:
        asked, number = self._asked, one.number
        self._collecting = number
        due = collect_instalment.DueInstalment(
            order=asked.order,
            customer=asked.customer,
            merchant=asked.merchant,
            number=number,
            principal=one.amount,
            fees=one.fees,
            card=self._plan.card,
        )
        ended = await self._run_saga(
            Child(
                name=collect_instalment.TYPE,
                workflow=collect_instalment.CollectInstalmentWorkflow,
                input=due,
                id=collect_instalment.saga_id(asked.order, number),
                merchant=asked.merchant,
                summary=collect_instalment.summary(due),
            )
        )
        if ended.ending == "completed":
            return
        # What a person has taken back is no miss of the customer's.
        if ended.ending == "refused":
            self._moved(dunning=self._now.dunning.with_miss(number))
            if self._now.dunning.is_given_up(number, asked.terms):
                await self._give_up()
            elif self._now.dunning.is_late(number):
                await self._charge_fee(number)
        self._moved(dunning=self._now.dunning.with_pause(number, workflow.now(), asked.terms))

    async def _settle(self, wish: PayAllNow) -> None:
        asked, plan = self._asked, self._plan
        settlement = settle_early.Settlement(
            order=asked.order,
            customer=asked.customer,
            merchant=asked.merchant,
            principal=plan.outstanding,
            fees=plan.fees_due,
            card=wish.card or plan.card,
        )
        await self._run_saga(
            Child(
                name=settle_early.TYPE,
                workflow=settle_early.SettleEarlyWorkflow,
                input=settlement,
                id=settle_early.saga_id(asked.order),
                merchant=asked.merchant,
                summary=settle_early.summary(settlement),
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
            Child(
                name=write_off.TYPE,
                workflow=write_off.WriteOffWorkflow,
                input=debt,
                id=write_off.saga_id(asked.order),
                merchant=asked.merchant,
                summary=write_off.summary(debt),
            )
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
        attempt = self._now.attempts.get(child.id, 0) + 1
        ended = await run_saga(child, self._options, actor or self._actor, attempt)
        # It may be a later one: a person has it begun where a workflow stopped before its end.
        self._moved(attempts={**self._now.attempts, child.id: ended.attempt})
        return ended

    async def _do(self, command: Command, key: str, actor: str) -> Answer:
        """Have one command done, without a saga; once for each key."""
        name = type(command).__name__
        step = StepKey(
            saga=workflow.info().workflow_id,
            attempt=1,
            step=key,
            opened_on=workflow.info().workflow_start_time.date(),
        )
        context = StepContext(
            key=step,
            actor=actor,
            merchant=self._asked.merchant,
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
        if self._asking_for and (number is None or self._collecting in {None, number}):
            raise _not_now(f"{self._asking_for} is under way: ask again when it has ended")

    def _moved(self, **changes: Any) -> None:
        self._now = replace(self._now, **changes)
        if self._now.plan is not None:
            self._show(self._now.plan)

    def _show(self, plan: InstalmentPlan) -> None:
        found = self._next()
        head = f"asked for next at {found[0]:%Y-%m-%d %H:%M} UTC" if found else "nothing is due"
        rows = "\n".join(
            f"| {one.number} | {one.due} | {one.status} | {one.amount} | {one.fees} "
            f"| {self._now.dunning.misses(one.number)} |"
            for one in plan.instalments
        )
        workflow.set_current_details(
            f"**{plan.status}**, {head}\n\n"
            "| | due | status | to be paid | fees | missed |\n|---|---|---|---|---|---|\n" + rows
        )


def _check(*values: tuple[bounds.Bound, Any]) -> None:
    """Raises ApplicationError of the type `WrongValue`, whose message says why."""
    for bound, value in values:
        if said := bound.wrong_with(value):
            raise ApplicationError(said, type="WrongValue")


def _not_now(said: str) -> ApplicationError:
    return ApplicationError(said, type="OutOfOrder")


def _as_told(failure: FailureError) -> ApplicationError:
    """What a broken rule says, to whoever broke it."""
    cause = failure.cause if isinstance(failure, ActivityError) and failure.cause else failure
    kind = cause.type if isinstance(cause, ApplicationError) else None
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    return ApplicationError(message, type=kind)
