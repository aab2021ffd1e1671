"""What is recorded: the demo with faults, and what it does not come to by itself.

Beyond the demo: applications of merchants, a review, plans that are paid early, moved and given
up, parcels that are lost, returns that are refused, a payout that is declined, a saga whose
workflow was lost, and something of most kinds that is still under way in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from rich.console import Console
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from handrail.dev.stack import Stack
from runtime.demo.after_checkout import afterwards
from runtime.demo.customers import drive
from runtime.demo.scenario import Customer, Merchant, Order, Plan, make

ORDERS: Final = 24
REVIEW_ABOVE: Final = 5_000_000
"""In minor units: more than any order of the demo's own plan."""
SHOP: Final = "m90"
PATIENCE: Final = 90.0  # seconds
A_MONTH: Final = timedelta(days=31)
DOCUMENTS: Final = [
    {"kind": kind, "reference": f"doc-{kind}"}
    for kind in ("identity", "bank_account", "registration")
]


def plan() -> Plan:
    """Of the demo's, with a merchant of plenty beside, and another whose payouts are declined."""
    made = make(orders=ORDERS, merchants=4, faults=0.6, seed=7)
    stock = {"globe": 100}
    merchants = [
        *made.merchants,
        Merchant(SHOP, "EUR", 250, {"globe": 30_000}, stock),
        Merchant("m91-payout_declined", "EUR", 250, {"globe": 20_000}, stock),
    ]
    customers = [*made.customers, Customer("c9000", "EUR", 90_000_000)]
    orders = [
        *made.orders,
        *(_order(f"regret-{n}", card="card_slow", cancels=True) for n in (1, 2)),
        _order("twice", address="addr_parcel_twice", repeats=True),
        _order("elsewhere", merchant="m91-payout_declined"),
        _order("declined", card="card_declined"),
        _order("disputed", card="card_disputed"),
        *(_order(f"unknown-{n}", address="addr_undeliverable") for n in (1, 2)),
    ]
    return replace(made, merchants=merchants, customers=customers, orders=orders)


def _order(
    key: str,
    *,
    merchant: str = SHOP,
    card: str = "card_ok",
    address: str = "addr_ok",
    quantity: int = 1,
    price: int = 30_000,
    cancels: bool = False,
    repeats: bool = False,
) -> Order:
    unit_price = {"amount": price, "currency": "EUR"}
    return Order(
        key=f"recorded-{key}",
        body={
            "customer": "c9000",
            "merchant": merchant,
            "lines": [{"sku": "globe", "quantity": quantity, "unit_price": unit_price}],
            "instalments": 3,
            "card": card,
            "ship_to": address,
        },
        cancels=cancels,
        repeats=repeats,
    )


class Conflict(Exception):
    """The saga does not stand where that can be asked of it."""


class Story:
    """Over a stack that runs; every part returns once what it began has come to where it stays."""

    def __init__(self, stack: Stack, http: httpx.AsyncClient, temporal: Client) -> None:
        self._stack, self._http, self._temporal = stack, http, temporal

    async def happens(self, console: Console) -> None:
        stack = self._stack
        driven = await drive(stack.api_url, stack.database_url, plan(), console)
        console.print("the demo's orders are decided")
        later = await afterwards(
            stack.api_url, self._temporal, list(driven.sagas.values()), console
        )
        if not later.good:
            raise RuntimeError(f"the demo went wrong: {later}")
        for part in (
            self._merchants_apply,
            self._officers_review,
            self._plans_end_otherwise,
            self._parcels_are_lost,
            self._returns_are_refused,
            self._a_workflow_is_lost,
            self._operators_step_in,
            self._merchants_are_paid,
            self._some_stay_under_way,
        ):
            await part()
            console.print(part.__name__.replace("_", " ").strip())

    async def _merchants_apply(self) -> None:
        for number, registration in enumerate(("reg_ok", "reg_ok", "reg_declined", "reg_lost")):
            await self._applies(f"m70{number}", registration)
        await self._applies("m709", "reg_ok", DOCUMENTS[:1])
        await self._ends("onboard-m709", "refused", "compensated")
        await self._answers("onboard-m700", approved=True)
        await self._answers("onboard-m701", approved=False)
        await self._ends("onboard-m700", "completed")
        await self._ends("onboard-m701", "refused", "compensated")
        await self._ends("onboard-m702", "refused", "compensated")
        await self._stands("onboard-m703", "awaiting")
        await self._post("/sagas/onboard-m703/cancellation", {"reason": "applied by mistake"})
        await self._ends("onboard-m703", "compensated")

    async def _officers_review(self) -> None:
        for key, approved in (("review-yes", True), ("review-no", False)):
            order = await self._orders(_order(key, quantity=2, price=4_000_000))
            await self._answers(order, approved=approved)
            await self._ends(order, "completed" if approved else "refused", "compensated")

    async def _plans_end_otherwise(self) -> None:
        early = await self._has(_order("early"))
        await self._post(f"/orders/{early}/plan/settlement", {"card": "card_ok"})
        await self._plan_is(early, "settled")
        poor = await self._has(_order("poor", card="card_charge_declined"))
        begun = await self._post(f"/orders/{poor}/plan/settlement", {})
        await self._ends(begun["saga"], "refused", "compensated")
        moved = await self._has(_order("moved"))
        due = (datetime.now(UTC) + timedelta(days=40)).date().isoformat()
        await self._post(f"/orders/{moved}/plan/reschedule", {"number": 1, "due": due})
        unpaid = await self._has(_order("unpaid", card="card_charge_declined"))
        await self._time_goes_by(unpaid, "written_off")
        late = await self._has(_order("late", card="card_charge_declined_2"))
        await self._time_goes_by(late, "settled")

    async def _parcels_are_lost(self) -> None:
        lost = await self._orders(_order("lost", address="addr_parcel_lost"))
        await self._until(lambda: self._some("/sagas?saga_type=Loss&status=completed"), "a loss")
        await self._ends(lost, "completed")

    async def _returns_are_refused(self) -> None:
        order = await self._has(_order("kept", card="card_refund_declined"))
        begun = await self._post(
            f"/orders/{order}/returns", {"reason": "too large"}, key=f"return-{order}"
        )
        await self._ends(begun["saga"], "refused", "compensated")

    async def _a_workflow_is_lost(self) -> None:
        order = await self._parks(_order("terminated", address="addr_undeliverable"))
        await self._temporal.get_workflow_handle(order).terminate("recorded so")
        again = {"reason": "its workflow was terminated"}
        await self._post(f"/sagas/{order}/attempts", again)
        await self._until(lambda: self._is_parked_in(order, 2), f"{order} is parked again")
        await self._goes_on(order, "skip", evidence="the customer fetched it")
        await self._ends(order, "completed", "compensated")

    async def _operators_step_in(self) -> None:
        retried = await self._parks(_order("retried", address="addr_undeliverable"))
        await self._goes_on(retried, "retry")
        await self._until(lambda: self._was_parked(retried, 2), f"{retried} is parked again")
        await self._goes_on(retried, "resolve", evidence="booked by telephone, ticket 88")
        await self._ends(retried, "completed")
        await self._stop_an_intervention()
        voided = await self._parks(_order("voided", card="card_capture_broken"))
        await self._goes_on(voided, "compensate")
        await self._ends(voided, "compensated")

    async def _stop_an_intervention(self) -> None:
        """In two sagas, one a second: it is stopped while the second one waits for its turn."""
        parked = [
            await self._parks(_order(f"stopped-{n}", address="addr_undeliverable")) for n in (1, 2)
        ]
        asked = {
            "filter": {"step": "BookShipment"},
            "kind": "retry",
            "reason": "the carrier is back",
            "actor": "bob",
            "per_second": 1,
            "dry_run": False,
        }
        begun = await self._post("/interventions", asked, key="recorded-stopped")
        path = f"/interventions/{begun['intervention']}"
        await self._post(f"{path}/stop", {"reason": "it is not", "actor": "bob"})

        async def stopped() -> bool:
            found = await self._get(path)
            return bool(found) and found["state"] == "stopped"

        await self._until(stopped, f"{path} is stopped")
        for saga in parked:
            await self._stands(saga, "parked")
            await self._goes_on(saga, "skip", evidence="the customer fetched it")
            await self._ends(saga, "completed")

    async def _merchants_are_paid(self) -> None:
        run = (await self._post("/payouts", {"minimum": 1}))["run"]

        async def ended() -> bool:
            found = await self._get(f"/payouts/{run}")
            return bool(found) and (found["status"] == "ended" or found["parked"] > 0)

        await self._until(ended, "the run of payouts has ended")

    async def _some_stay_under_way(self) -> None:
        await self._parks(_order("parked", address="addr_undeliverable"))
        order = await self._orders(_order("review-open", quantity=2, price=4_000_000))
        await self._stands(order, "awaiting")
        await self._applies("m704", "reg_ok")
        await self._stands("onboard-m704", "awaiting")
        silent = await self._orders(_order("silent", address="addr_parcel_silent"))
        await self._ends(silent, "completed")

    async def _applies(
        self, merchant: str, registration: str, documents: Sequence[Any] = DOCUMENTS
    ) -> None:
        terms = {"currency": "EUR", "fee_bps": 250}
        asked = {"registration": registration, "documents": documents, **terms}
        path = f"/merchants/{merchant}/application"
        await self._post(path, asked, key=f"apply-{merchant}")

    async def _answers(self, saga: str, *, approved: bool) -> None:
        await self._stands(saga, "awaiting")
        said = {"id": f"answer-{saga}", "approved": approved, "reason": "looked at", "actor": "ann"}
        await self._post(f"/sagas/{saga}/answers", said)

    async def _goes_on(self, saga: str, kind: str, **how: str) -> None:
        """Sent again where the saga runs on, and parks once more, before it arrives."""
        asked = {"kind": kind, "reason": "an operator decided", "actor": "bob", **how}

        async def taken() -> bool:
            await self._stands(saga, "parked")
            with suppress(Conflict):
                await self._post(f"/sagas/{saga}/interventions", asked, key=f"{kind}-{saga}")
                return True
            return False

        await self._until(taken, f"{saga} takes {kind}")

    async def _orders(self, order: Order) -> str:
        begun = await self._post("/orders", order.body, key=order.key)
        return str(begun["order"])

    async def _parks(self, order: Order) -> str:
        id_ = await self._orders(order)
        await self._stands(id_, "parked")
        return id_

    async def _has(self, order: Order) -> str:
        """The customer has got the parcels."""
        id_ = await self._orders(order)
        await self._until(lambda: self._order_is(id_, "completed"), f"{id_} is delivered")
        return id_

    async def _order_is(self, order: str, status: str) -> bool:
        found = await self._get(f"/orders/{order}")
        return bool(found) and found["status"] == status

    async def _plan_is(self, order: str, status: str) -> None:
        async def so() -> bool:
            found = await self._get(f"/orders/{order}/plan")
            return bool(found) and found["status"] == status

        await self._until(so, f"the plan of {order} is {status}")

    async def _time_goes_by(self, order: str, until: str) -> None:
        """Month by month on the clock of the plan's own workflow. Its sagas share that clock, so it
        is put forward only while none of them runs: else the month would use up their patience.
        """
        skipper = TimeSkipper(self._temporal)
        path = f"/orders/{order}/plan"
        plan = await self._get(path)
        async with asyncio.timeout(PATIENCE):
            while plan["status"] != until:
                before = plan["updated_at"]
                # A plan that has ended has no clock any more, and of a run that continues as new on
                # the way no completion is reported.
                with suppress(RPCError, TimeoutError):
                    async with asyncio.timeout(5):
                        handle = self._temporal.get_workflow_handle(f"plan-{order}")
                        await skipper.fast_forward(handle, A_MONTH)
                with suppress(TimeoutError):
                    async with asyncio.timeout(5):  # in most months something is due
                        while plan["updated_at"] == before:
                            await asyncio.sleep(0.2)
                            plan = await self._get(path)
                await self._nothing_runs_of("CollectInstalment", "WriteOff")
                plan = await self._get(path)

    async def _nothing_runs_of(self, *types: str) -> None:
        for saga_type in types:
            path = f"/sagas?saga_type={saga_type}&status=running"

            async def none(path: str = path) -> bool:
                return not await self._some(path)

            await self._until(none, f"no {saga_type} runs")

    async def _ends(self, saga: str, *statuses: str) -> None:
        await self._stands(saga, *statuses)

    async def _stands(self, saga: str, *statuses: str) -> None:
        async def so() -> bool:
            found = await self._get(f"/sagas/{saga}")
            return bool(found) and found["status"] in statuses

        await self._until(so, f"{saga} is {' or '.join(statuses)}")

    async def _is_parked_in(self, saga: str, attempt: int) -> bool:
        found = await self._get(f"/sagas/{saga}")
        return bool(found) and (found["status"], found["attempt"]) == ("parked", attempt)

    async def _was_parked(self, saga: str, times: int) -> bool:
        found = await self._get(f"/sagas/{saga}")
        parked = [one for one in found["timeline"] if one["what"] == "SagaParked"]
        return found["status"] == "parked" and len(parked) == times

    async def _some(self, path: str) -> bool:
        found = await self._get(path)
        return bool(found["items"])

    async def _post(self, path: str, body: Mapping[str, Any], key: str = "") -> Any:
        """Asked again, with the same key, while a read model is behind."""
        headers = {"Idempotency-Key": key} if key else {}
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self._http.post(path, json=body, headers=headers)
                if answer.status_code == httpx.codes.CONFLICT:
                    raise Conflict(answer.text)
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    if answer.is_error:
                        raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
                    return answer.json()
                await asyncio.sleep(0.5)

    async def _get(self, path: str) -> Any:
        """None where there is no such thing yet."""
        answer = await self._http.get(path)
        if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.SERVICE_UNAVAILABLE}:
            return None
        answer.raise_for_status()
        return answer.json()

    async def _until(self, so: Callable[[], Awaitable[bool]], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not await so():  # noqa: ASYNC110  # it lies behind the API
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise TimeoutError(f"never happened: {what}") from None
