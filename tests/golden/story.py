"""What is recorded of a release: the story of the first recording, and what that does not come to.

In the end commands are handled that no saga of the story gives: so every event is there once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

import httpx
import psycopg
from rich.console import Console
from temporalio.testing import TimeSkipper

from domain.identifiers import MerchantId, OrderId, PayoutId, ReturnId, Sku
from domain.ordering import order
from domain.ordering.commands import AcceptReturn
from domain.ordering.events import ReturnLine
from domain.payments import payment, plan
from domain.payments.commands import AdjustPlan, VoidPayment
from domain.settlement import merchant_account
from domain.settlement.commands import PreparePayout
from domain.shipping import shipment
from domain.shipping.commands import BookShipment, CancelShipment
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.eventstore.store import EventStore
from handrail.kernel import Command, Money
from handrail.replies import Accepted
from handrail.sagas import proposals
from handrail.sagas.proposals import ApproveAction, ProposeAction
from handrail.sagas.step_keys import StepContext, StepKey
from tests.recorded.story import Story
from workflows.onboard_merchant import REMINDED_AFTER

_PLENTY: Final = 999_999_999


class WholeStory(Story):
    async def happens(self, console: Console) -> None:
        await super().happens(console)
        for part in (self._an_answer_is_late, self._customers_are_erased):
            await part()
            console.print(part.__name__.replace("_", " ").strip())

    async def _an_answer_is_late(self) -> None:
        saga = "onboard-m706"
        await self._applies("m706", "reg_ok")
        await self._stands(saga, "awaiting")
        skipper = TimeSkipper(self._temporal)
        await skipper.fast_forward(self._temporal.get_workflow_handle(saga), REMINDED_AFTER)

        async def reminded() -> bool:
            found = await self._get(f"/sagas/{saga}")
            return any(one["what"] == "AnswerReminded" for one in found["timeline"])

        await self._until(reminded, f"{saga} is reminded of")

    async def _customers_are_erased(self) -> None:
        limit = {"limit": {"amount": 500_000, "currency": "EUR"}}
        (await self._http.put("/customers/c9001/limit", json=limit)).raise_for_status()

        sagas: list[str] = []

        async def erased() -> bool:
            answer = await self._http.delete("/customers/c9001")
            if answer.status_code != httpx.codes.ACCEPTED:
                return False
            sagas.append(answer.json()["saga"])
            return True

        await self._until(erased, "c9001 is erased")
        await self._ends(sagas[0], "completed")
        refused = await self._http.delete("/customers/c9000")
        assert refused.status_code == httpx.codes.CONFLICT, refused.text


async def other_commands(store: EventStore, connection: psycopg.Connection) -> None:
    """Of streams that there are, once nothing else works on them."""
    returned = OrderId(_one(connection, "order", "OrderCompleted"))
    paid = OrderId(_one(connection, "payment", "PaymentCaptured"))
    rejected = OrderId(_one(connection, "order", "OrderRejected"))
    planned = OrderId(_one(connection, "plan", "PlanOpened"))
    merchant = MerchantId(_one(connection, "merchant", "PayableAccrued"))
    much = Money(_PLENTY, "EUR")
    return_id = ReturnId("golden-return")
    await _handle(
        store, order, order.Order(), "order",
        AcceptReturn(
            order=returned,
            return_id=return_id,
            lines=(ReturnLine(sku=Sku("globe"), quantity=99),),
            value=much,
            why="returned",
            accepted_at=datetime.now(UTC),
        ),
    )  # fmt: skip
    yes = Accepted(reference="golden")
    void = VoidPayment(order=paid, reply=yes)
    await _handle(store, payment, payment.Payment(), "order", void)
    for of_a_shipment in (
        BookShipment(order=rejected, merchant=merchant, ship_to="addr_ok", parcels=1, reply=yes),
        CancelShipment(order=rejected, reply=yes),
    ):
        await _handle(store, shipment, shipment.Shipment(), "order", of_a_shipment)
    prepare = PreparePayout(merchant=merchant, payout=PayoutId("golden-payout"), amount=much)
    await _handle(store, merchant_account, merchant_account.MerchantAccount(), "merchant", prepare)
    adjust = AdjustPlan(order=planned, return_id=return_id, value=much, absorbed=much)
    await _handle(store, plan, plan.InstalmentPlan(), "order", adjust)
    for command in (
        ProposeAction(proposal="golden", action="POST /x", content="{}", proposed_by="ann"),
        ApproveAction(proposal="golden", approved_by="bob"),
    ):
        await _handle(store, proposals, proposals.Proposal(), "proposal", command)


def _one(connection: psycopg.Connection, category: str, last: str) -> str:
    """The id of a stream of which this is the last event."""
    found = connection.execute(
        "SELECT substr(e.stream, strpos(e.stream, '-') + 1) FROM events e JOIN streams s"
        " ON s.name = e.stream AND s.version = e.version"
        " WHERE e.stream LIKE %s AND e.type = %s ORDER BY e.position DESC LIMIT 1",
        (f"{category}-%", last),
    ).fetchone()
    assert found, f"no stream of {category} ends with {last}"
    return str(found[0])


async def _handle(store: EventStore, module: Any, initial: Any, key: str, command: Command) -> None:
    of: Callable[[Any], str] = lambda message: getattr(message, key)  # noqa: E731  # one of them
    handler = CommandHandler(
        store, single_stream(module.CATEGORY, initial, of, module.decide, module.evolve)
    )
    name = type(command).__name__
    step = StepKey(saga=f"golden-{name}", attempt=1, step=name, opened_on=date.today())  # noqa: DTZ011  # of the fence
    answer = await handler.handle(command, StepContext(key=step, actor="golden", alone=True))
    assert answer.outcome, name
