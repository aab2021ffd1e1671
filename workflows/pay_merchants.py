"""Pay every merchant who is owed enough: many side by side, and none waits for another.

Each payout is a saga that outlives the run, at most one a day for a merchant. One that takes long
makes room for the next; one that has not ended when it must be parked is left to a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

from domain.identifiers import PayoutId
from domain.settlement.payable import Payable
from handrail.kernel import Attribution, Money
from handrail.sagas.fairness import fair
from handrail.sagas.options import SagaResult
from handrail.sagas.visibility import SAGA_STATUS, SAGA_TYPE, begun_as
from handrail.sagas.worker_versions import MovesOn, continue_as_new, is_version_changed
from workflows import pay_merchant
from workflows.options import ShopOptions
from workflows.pay_merchant import PayMerchant, PayMerchantWorkflow

TYPE: Final = "PayMerchants"
PAGE: Final = 100
AT_ONCE: Final = 20
"""How many payouts may be under way that were begun a moment ago."""
A_MOMENT: Final = timedelta(seconds=10)
PAGES_A_RUN: Final = 3
"""Then the workflow continues as a new run, so that its history stays short."""
WISHES_A_RUN: Final = 100
"""Then it does, too: Temporal takes a limited number of updates in each run."""
LOOKING: Final[dict[str, Any]] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=10)),
}


@dataclass(frozen=True, kw_only=True)
class PayMerchants:
    """`minimum` is in minor units of each merchant's own currency."""

    minimum: int


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How many merchants were `found` in the beginning, and how the payouts begun since ended.

    `taken_back` could not be done for a technical reason; `parked` wait for a person; `failed` are
    workflows that ended before their saga did; `before` had a payout on this day already. `amounts`
    are what was paid, in minor units by currency; `after` is the last merchant that was seen.
    """

    day: date
    found: int
    after: str = ""
    paid: int = 0
    refused: int = 0
    taken_back: int = 0
    parked: int = 0
    failed: int = 0
    before: int = 0
    amounts: Mapping[str, int] = field(default_factory=dict)
    under_way: int = 0
    paused: Attribution | None = None
    ended: bool = False

    @property
    def remaining(self) -> int:
        """What others pay out meanwhile is not counted, so this is never more than a good guess."""
        met = self.paid + self.refused + self.taken_back + self.parked + self.failed + self.before
        return 0 if self.ended else max(0, self.found - met - self.under_way)


_SHOWN: Final = (
    "found",
    "paid",
    "refused",
    "taken_back",
    "parked",
    "failed",
    "before",
    "remaining",
)
_OUTCOMES: Final = {"completed": "paid", "refused": "refused", "compensated": "taken_back"}


@workflow.defn(name=TYPE)
class PayMerchantsWorkflow(MovesOn):
    @workflow.init
    def __init__(
        self, asked: PayMerchants, options: ShopOptions, actor: str, progress: Progress | None
    ) -> None:
        self._asked = asked
        self._options = options
        self._actor = actor
        self._begun = progress is not None
        self._now = progress or Progress(day=workflow.now().date(), found=0)
        self._recent = 0
        self._wishes = 0

    @workflow.run
    async def run(
        self, asked: PayMerchants, options: ShopOptions, actor: str, _progress: Progress | None
    ) -> Progress:
        if not self._begun:
            await self._begin()
        pages, more = 0, True
        while more and pages < PAGES_A_RUN and not self._is_full:
            more = await self._pay_page()
            pages += 1
        # Every payout has ended, or is parked.
        await workflow.wait_condition(lambda: self._now.under_way == 0)
        if not more:
            self._update(ended=True)
            workflow.upsert_search_attributes([SAGA_STATUS.value_set("completed")])
        await workflow.wait_condition(workflow.all_handlers_finished)
        if more:
            continue_as_new([asked, options, actor, self._now])
        return self._now

    @workflow.update(description="Begin no more payouts; those under way go on.")
    def pause(self, by: Attribution) -> None:
        self._wishes += 1
        if self._now.paused is None:
            self._update(paused=by)
            workflow.upsert_search_attributes([SAGA_STATUS.value_set("paused")])

    @workflow.update(description="Go on with the payouts.")
    def resume(self, by: Attribution) -> None:
        self._wishes += 1
        if self._now.paused is not None:
            workflow.logger.info("resumed by %s: %s", by.actor, by.reason)
            self._update(paused=None)
            workflow.upsert_search_attributes([SAGA_STATUS.value_set("running")])

    @workflow.query(description="How many payouts were begun, and how they ended.")
    def progress(self) -> Progress:
        return self._now

    async def _begin(self) -> None:
        running = [SAGA_TYPE.value_set(TYPE), SAGA_STATUS.value_set("running")]
        workflow.upsert_search_attributes(running)
        found: int = await workflow.execute_activity(
            "CountPayable", self._asked.minimum, result_type=int, **LOOKING
        )
        self._update(found=found)

    async def _pay_page(self) -> bool:
        """Whether there may be another."""
        page: list[Payable] = await workflow.execute_activity(
            "SelectPayable",
            args=[self._asked.minimum, self._now.after, PAGE],
            result_type=list[Payable],
            **LOOKING,
        )
        for one in page:
            await workflow.wait_condition(lambda: self._may_pay or self._is_full)
            if not self._may_pay:
                return True
            await self._pay(one)
            self._update(after=one.merchant)
        return len(page) == PAGE

    @property
    def _may_pay(self) -> bool:
        return self._recent < AT_ONCE and self._now.paused is None

    @property
    def _is_full(self) -> bool:
        return self._wishes >= WISHES_A_RUN or is_version_changed()

    async def _pay(self, one: Payable) -> None:
        payout = PayMerchant(
            payout=PayoutId(f"{self._now.day}-{one.merchant}"),
            merchant=one.merchant,
            amount=one.balance,
        )
        try:
            child: Any = await workflow.start_child_workflow(
                pay_merchant.TYPE,
                args=[payout, self._options.of(PayMerchantWorkflow), self._actor, 1],
                id=pay_merchant.saga_id(payout.payout),
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                search_attributes=begun_as(pay_merchant.TYPE, one.merchant, self._options),
                priority=fair(one.merchant),
                result_type=SagaResult,
                static_summary=pay_merchant.summary(payout),
            )
        except WorkflowAlreadyStartedError:
            self._update(before=self._now.before + 1)
            return
        self._recent += 1
        self._update(under_way=self._now.under_way + 1)
        asyncio.create_task(self._follow(child, payout.amount))  # noqa: RUF006  # the workflow keeps it

    async def _follow(self, child: Any, amount: Money) -> None:
        moment = min(A_MOMENT, self._longest)
        await _ends_within(moment, child)
        self._recent -= 1
        if late := not await _ends_within(self._longest - moment, child):
            self._update(under_way=self._now.under_way - 1, parked=self._now.parked + 1)
        outcome = await self._outcome(child)
        changes: dict[str, Any] = {outcome: getattr(self._now, outcome) + 1}
        if outcome == "paid":
            paid = self._now.amounts.get(amount.currency, 0) + amount.amount
            changes["amounts"] = {**self._now.amounts, amount.currency: paid}
        if late:
            self._update(parked=self._now.parked - 1, **changes)
        else:
            self._update(under_way=self._now.under_way - 1, **changes)

    async def _outcome(self, child: Any) -> str:
        try:
            result: SagaResult = await child
        except ChildWorkflowError:
            return "failed"
        return _OUTCOMES[result.ending]

    @property
    def _longest(self) -> timedelta:
        """Twice what a payout takes until it has ended or parked."""
        return 2 * (self._options.deadline + 2 * self._options.patience)

    def _update(self, **changes: Any) -> None:
        self._now = replace(self._now, **changes)
        self._show()

    def _show(self) -> None:
        now = self._now
        state = "ended" if now.ended else "running"
        if now.paused:
            state = f"paused by {now.paused.actor}: {now.paused.reason}"
        names = (
            "found",
            "paid",
            "refused",
            "taken_back",
            "parked",
            "failed",
            "before",
            "remaining",
        )
        counts = "\n".join(f"| {name.replace('_', ' ')} | {getattr(now, name)} |" for name in names)
        sums = ", ".join(str(Money(sum_, currency)) for currency, sum_ in now.amounts.items())
        workflow.set_current_details(
            f"**{state}**, paid {sums or 'nothing'}\n\n| merchants | |\n|---|---|\n{counts}"
        )


async def _ends_within(limit: timedelta, child: Any) -> bool:
    if limit <= timedelta():
        return bool(child.done())
    try:
        await workflow.wait_condition(child.done, timeout=limit, timeout_summary="a payout")
    except TimeoutError:
        return False
    return True
