"""The sagas and commands of a plan's collection: collect, settle early, write off, charge a fee."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow

from domain.payments.commands import ChargeLateFee
from domain.payments.plan_state import Instalment
from handrail.kernel import Command, Money, context_of
from handrail.sagas.child_workflows import READING, Child, last_attempt, run_saga
from handrail.sagas.events import SagaEnded
from handrail.sagas.step_keys import Answer, StepContext, StepKey
from workflows import collect_instalment, settle_early, write_off
from workflows.collection_state import CollectionState
from workflows.options import ShopOptions
from workflows.plan_collection import SIDE_BY_SIDE
from workflows.plan_wishes import PayAllNow


class CollectionSagas:
    """Runs them for one plan, and keeps in its state what became of each."""

    def __init__(self, state: CollectionState, options: ShopOptions, actor: str) -> None:
        self._state = state
        self._options = options
        self._actor = actor

    async def collect(self, instalment: Instalment) -> None:
        state, asked, number = self._state, self._state.asked, instalment.number
        due = collect_instalment.DueInstalment(
            order=asked.order,
            customer=asked.customer,
            merchant=asked.merchant,
            number=number,
            principal=instalment.amount,
            fees=instalment.fees,
            card=state.plan.card,
        )
        collection = collect_instalment.SAGA.child(due)
        if not workflow.patched(SIDE_BY_SIDE):
            state.collecting = number
            await self.conclude(number, await self._run_saga(collection))
            return
        attempt = await self._next_attempt(collection.id)
        state.waiting.discard(number)
        ending = run_saga(
            collection,
            self._options,
            self._actor,
            attempt,
            when_parked=lambda: state.waiting.add(number),
        )
        state.collections[number] = asyncio.create_task(ending)
        state.update(under_way={**state.progress.under_way, number: attempt})

    async def conclude(self, number: int, ended: SagaEnded) -> None:
        """What follows from how the collection of an instalment has ended."""
        state, terms = self._state, self._state.asked.terms
        under_way = {n: attempt for n, attempt in state.progress.under_way.items() if n != number}
        # It may be a later one: a person has it begun where a workflow stopped before its end.
        attempts = {**state.progress.attempts, ended.saga: ended.attempt}
        state.update(under_way=under_way, attempts=attempts)
        if ended.ending == "completed":
            return
        # What a person has taken back is no miss of the customer's.
        if ended.ending == "refused":
            state.update(dunning=state.progress.dunning.with_miss(number))
            if state.progress.dunning.is_given_up(number, terms):
                if self._may_give_up:
                    await self._give_up()
            elif state.progress.dunning.is_late(number):
                await self._charge_fee(number)
        state.update(dunning=state.progress.dunning.with_pause(number, workflow.now(), terms))

    async def settle(self, wish: PayAllNow) -> None:
        asked, plan = self._state.asked, self._state.plan
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
        self._state.update(pay_all=None)

    async def run_command(self, command: Command, key: str, actor: str) -> Answer:
        """Have one command done, without a saga; once for each key."""
        name = type(command).__name__
        step = StepKey(
            saga=workflow.info().workflow_id,
            attempt=1,
            step=key,
            opened_on=self._state.progress.opened_on or workflow.now().date(),
        )
        context = StepContext(
            key=step,
            actor=actor,
            tenant=self._state.asked.merchant,
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

    @property
    def _may_give_up(self) -> bool:
        """Not while nobody knows what is lost: then it is asked for once more."""
        known = not (self._state.collections or self._state.plan.in_doubt)
        return known or not workflow.patched(SIDE_BY_SIDE)

    async def _give_up(self) -> None:
        state, asked = self._state, self._state.asked
        await state.read_plan()
        debt = write_off.LostDebt(
            order=asked.order,
            customer=asked.customer,
            merchant=asked.merchant,
            principal=state.plan.outstanding,
        )
        await self._run_saga(
            write_off.SAGA.child(debt, id=write_off.saga_id(asked.order, state.plan.write_offs))
        )

    async def _charge_fee(self, number: int) -> None:
        asked = self._state.asked
        fee = Money(asked.terms.late_fee, self._state.plan.paid_principal.currency)
        reminder = self._state.progress.dunning.misses(number)
        if fee.amount > 0:
            command = ChargeLateFee(order=asked.order, number=number, fee=fee, reminder=reminder)
            await self.run_command(command, f"ChargeLateFee:{number}:{reminder}", self._actor)

    async def _run_saga(self, child: Child, actor: str = "") -> SagaEnded:
        self._state.busy_with = child.id
        attempt = await self._next_attempt(child.id)
        ended = await run_saga(child, self._options, actor or self._actor, attempt)
        # It may be a later one: a person has it begun where a workflow stopped before its end.
        self._state.update(attempts={**self._state.progress.attempts, child.id: ended.attempt})
        return ended

    async def _next_attempt(self, saga: str) -> int:
        progress = self._state.progress
        known = progress.attempts.get(saga)
        if known is None and progress.reopened:
            known = await last_attempt(saga)
        return (known or 0) + 1
