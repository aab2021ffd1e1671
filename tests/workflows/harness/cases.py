"""Every saga of the project, and how the world is made ready for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from domain.credit.commands import AssignLimit
from domain.identifiers import PayoutId
from domain.inventory.commands import ReceiveStock
from domain.settlement.commands import AccruePayable, Document, OpenMerchantAccount
from handrail.testing.saga_case import Case, Subject
from tests.controls import (
    NOON,
    a_customer,
    a_line,
    a_merchant,
    an_order,
    an_order_id,
    eur,
    readable_id,
)
from tests.workflows.asked import does
from tests.workflows.harness.after_checkout import AFTER_CHECKOUT
from tests.workflows.harness.shop_case import shop_case
from tests.workflows.ordered import a_checkout
from tests.workflows.returned import a_delivered_order, a_return
from tests.world import World
from workflows import (
    checkout,
    erase_customer,
    onboard_merchant,
    pay_merchant,
    return_order,
)
from workflows.erase_customer import EraseCustomer
from workflows.onboard_merchant import OnboardMerchant
from workflows.pay_merchant import PayMerchant


async def a_checkout_to_be(world: World) -> Subject:
    merchant, customer, line = a_merchant(), a_customer(), a_line()
    await does(world, OpenMerchantAccount(merchant=merchant, currency="EUR", fee_bps=250))
    await does(world, AssignLimit(customer=customer, limit=eur(10_000_00)))
    await does(world, ReceiveStock(merchant=merchant, sku=line.sku, delivery="one", quantity=10))
    asked = a_checkout(an_order(merchant=merchant, customer=customer, lines=(line,)))
    return Subject(
        id=asked.order,
        input=asked,
        saga=checkout.saga(asked),
        names={
            asked.order: "ORDER",
            merchant: "MERCHANT",
            customer: "CUSTOMER",
            line.sku: "SKU",
        },
    )


async def a_return_to_be(world: World) -> Subject:
    """Of everything: part of it is no longer due, and part of it was paid and is refunded."""
    order = await a_delivered_order(world)
    asked = (await a_return(order)).input
    return Subject(
        id=return_order.saga_id(asked.return_id),
        input=asked,
        saga=return_order.saga(asked),
        names={
            asked.return_id: "RETURN",
            asked.order: "ORDER",
            asked.merchant: "MERCHANT",
            asked.customer: "CUSTOMER",
            asked.lines[0].sku: "SKU",
        },
    )


async def an_application_to_be(_world: World) -> Subject:
    merchant = a_merchant()
    asked = OnboardMerchant(
        merchant=merchant,
        registration="reg_ok",
        documents=tuple(
            Document(kind=kind, reference=f"file-{kind}")
            for kind in ("identity", "bank_account", "registration")
        ),
        currency="EUR",
        fee_bps=250,
        submitted_at=NOON,
    )
    return Subject(
        id=f"onboard-{merchant}",
        input=asked,
        saga=onboard_merchant.saga(asked),
        names={merchant: "MERCHANT"},
    )


async def a_payout_to_be(world: World) -> Subject:
    merchant, order = a_merchant(), an_order_id()
    payout = PayoutId(readable_id("payout"))
    await does(world, OpenMerchantAccount(merchant=merchant, currency="EUR", fee_bps=0))
    await does(world, AccruePayable(merchant=merchant, order=order, gross=eur(100_00)))
    asked = PayMerchant(payout=payout, merchant=merchant, amount=eur(100_00))
    return Subject(
        id=pay_merchant.saga_id(payout),
        input=asked,
        saga=pay_merchant.saga(asked),
        names={payout: "PAYOUT", merchant: "MERCHANT", order: "ORDER"},
    )


async def an_erasure_to_be(world: World) -> Subject:
    """Of a customer who owes nothing."""
    customer = a_customer()
    await does(world, AssignLimit(customer=customer, limit=eur(10_000_00)))
    asked = EraseCustomer(customer=customer, by="privacy", requested_at=NOON)
    return Subject(
        id=erase_customer.saga_id(customer),
        input=asked,
        saga=erase_customer.saga(asked),
        names={customer: "CUSTOMER"},
    )


CASES: Final[Mapping[str, Case]] = {
    "Checkout": shop_case(
        "Checkout",
        prepare=a_checkout_to_be,
        corrections={"BookShipment": lambda asked: replace(asked, ship_to="addr_error")},
        refusals={"AuthoriseDownPayment": lambda asked: replace(asked, card="card_declined")},
    ),
    "ReturnOrder": shop_case("ReturnOrder", prepare=a_return_to_be),
    "OnboardMerchant": shop_case("OnboardMerchant", prepare=an_application_to_be),
    "PayMerchant": shop_case("PayMerchant", prepare=a_payout_to_be),
    "EraseCustomer": shop_case("EraseCustomer", prepare=an_erasure_to_be),
    **AFTER_CHECKOUT,
}
