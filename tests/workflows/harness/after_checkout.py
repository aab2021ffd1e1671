"""The sagas that follow an order, and how the world is made ready for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from domain.inventory.commands import ReceiveStock, ReserveStock, StockLine
from domain.ordering.commands import ConfirmOrder
from domain.shipping.commands import BookShipment
from handrail.sagas.definition import Saga
from handrail.testing.saga_case import Case, Subject
from tests.controls import NOON, a_line, an_order, eur
from tests.workflows.asked import does
from tests.workflows.collecting import Plan, a_plan
from tests.workflows.harness.shop_case import shop_case
from tests.world import World
from workflows import collect_instalment, parcels, settle_early, write_off
from workflows.parcels import Parcels


def _names(plan: Plan) -> Mapping[str, str]:
    return {plan.order: "ORDER", plan.merchant: "MERCHANT", plan.customer: "CUSTOMER"}


async def an_instalment_to_be_collected(world: World) -> Subject:
    plan = await a_plan(world)
    asked = collect_instalment.DueInstalment(
        order=plan.order,
        customer=plan.customer,
        merchant=plan.merchant,
        number=1,
        principal=eur(10_00),
        fees=eur(0),
        card="card_ok",
    )
    return Subject(
        id=collect_instalment.saga_id(plan.order, 1),
        input=asked,
        saga=collect_instalment.saga(asked),
        names=_names(plan),
    )


async def a_plan_to_be_settled(world: World) -> Subject:
    plan = await a_plan(world)
    asked = settle_early.Settlement(
        order=plan.order,
        customer=plan.customer,
        merchant=plan.merchant,
        principal=eur(30_00),
        fees=eur(0),
        card="card_ok",
    )
    return Subject(
        id=settle_early.saga_id(plan.order),
        input=asked,
        saga=settle_early.saga(asked),
        names=_names(plan),
    )


async def a_debt_to_be_given_up(world: World) -> Subject:
    plan = await a_plan(world)
    asked = write_off.LostDebt(
        order=plan.order,
        customer=plan.customer,
        merchant=plan.merchant,
        principal=eur(30_00),
    )
    return Subject(
        id=write_off.saga_id(plan.order),
        input=asked,
        saga=write_off.saga(asked),
        names=_names(plan),
    )


def parcels_of(
    prefix: str, saga: Callable[[Parcels], Saga]
) -> Callable[[World], Awaitable[Subject]]:
    """Booked, and nothing was heard of them yet."""

    async def prepare(world: World) -> Subject:
        line = a_line()
        order = an_order(lines=(line,))
        merchant, id_ = order.merchant, order.order
        stock = StockLine(sku=line.sku, quantity=line.quantity)
        for command in (
            order,
            ReceiveStock(merchant=merchant, sku=line.sku, delivery="one", quantity=10),
            ReserveStock(order=id_, merchant=merchant, lines=(stock,)),
            ConfirmOrder(order=id_),
            BookShipment(
                order=id_, merchant=merchant, ship_to="addr_parcel_undispatched", parcels=1
            ),
        ):
            await does(world, command)
        asked = Parcels(
            order=id_,
            merchant=merchant,
            skus=(line.sku,),
            value=order.total,
            at=NOON,
            cause="fell off the lorry",
        )
        return Subject(
            id=f"{prefix}-{id_}",
            input=asked,
            saga=saga(asked),
            names={
                id_: "ORDER",
                merchant: "MERCHANT",
                line.sku: "SKU",
                order.customer: "CUSTOMER",
            },
        )

    return prepare


AFTER_CHECKOUT: Final[Mapping[str, Case]] = {
    collect_instalment.TYPE: shop_case(
        collect_instalment.TYPE,
        prepare=an_instalment_to_be_collected,
        corrections={"CollectInstalment": lambda asked: replace(asked, card="card_error")},
    ),
    settle_early.TYPE: shop_case(
        settle_early.TYPE,
        prepare=a_plan_to_be_settled,
        corrections={"SettleEarly": lambda asked: replace(asked, card="card_error")},
    ),
    write_off.TYPE: shop_case(write_off.TYPE, prepare=a_debt_to_be_given_up),
    parcels.DISPATCH: shop_case(parcels.DISPATCH, prepare=parcels_of("dispatch", parcels.dispatch)),
    parcels.DELIVERED: shop_case(
        parcels.DELIVERED, prepare=parcels_of("delivered", parcels.delivered)
    ),
    parcels.LOSS: shop_case(
        parcels.LOSS,
        prepare=parcels_of("lost", parcels.loss),
        corrections={"RecordLoss": lambda asked: replace(asked, cause="not found")},
    ),
}
