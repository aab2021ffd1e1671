"""Every type of saga there is: for whoever explains, tests or replays them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from handrail.sagas.bulk_intervention import InterveneInManyWorkflow
from handrail.sagas.saga_type import SagaType
from workflows import (
    checkout,
    collect_instalment,
    onboard_merchant,
    parcels,
    pay_merchant,
    return_order,
    settle_early,
    write_off,
)
from workflows.collect_instalments import CollectInstalmentsWorkflow
from workflows.deliver_order import DeliverOrderWorkflow
from workflows.pay_merchants import PayMerchantsWorkflow

_ALL: Final = (
    SagaType(
        name="Checkout",
        purpose="Promise stock and credit, take the down payment, and see the rest done.",
        workflow=checkout.CheckoutWorkflow,
        example=checkout.example,
    ),
    SagaType(
        name=collect_instalment.TYPE,
        purpose="Collect one instalment, which can then be borrowed again.",
        workflow=collect_instalment.CollectInstalmentWorkflow,
        example=collect_instalment.example,
    ),
    SagaType(
        name=settle_early.TYPE,
        purpose="Pay at once all that is left of a plan.",
        workflow=settle_early.SettleEarlyWorkflow,
        example=settle_early.example,
    ),
    SagaType(
        name=write_off.TYPE,
        purpose="Give up what a customer does not pay, and never lend as much again.",
        workflow=write_off.WriteOffWorkflow,
        example=write_off.example,
    ),
    SagaType(
        name=parcels.DISPATCH,
        purpose="The parcels are on their way, and the stock has left the house.",
        workflow=parcels.DispatchWorkflow,
        example=parcels.example_of_dispatch,
    ),
    SagaType(
        name=parcels.DELIVERED,
        purpose="The customer has the parcels, and the order is completed.",
        workflow=parcels.DeliveredWorkflow,
        example=parcels.example_of_delivered,
    ),
    SagaType(
        name=parcels.LOSS,
        purpose="The parcels are lost, and so is the stock.",
        workflow=parcels.LossWorkflow,
        example=parcels.example_of_loss,
    ),
    SagaType(
        name=return_order.TYPE,
        purpose="Take something back: what it cost is no longer due, or is paid back.",
        workflow=return_order.ReturnOrderWorkflow,
        example=return_order.example,
    ),
    SagaType(
        name=onboard_merchant.TYPE,
        purpose="Take on a merchant: papers, the registry, an account, and somebody's yes.",
        workflow=onboard_merchant.OnboardMerchantWorkflow,
        example=onboard_merchant.example,
    ),
    SagaType(
        name=pay_merchant.TYPE,
        purpose="Pay one merchant what is owed.",
        workflow=pay_merchant.PayMerchantWorkflow,
        example=pay_merchant.example,
    ),
)
SAGAS: Final[Mapping[str, SagaType]] = {one.name: one for one in _ALL}

PLAIN: Final[tuple[type[Any], ...]] = (
    CollectInstalmentsWorkflow,
    DeliverOrderWorkflow,
    InterveneInManyWorkflow,
    PayMerchantsWorkflow,
)
"""Workflows that are no sagas, and have no journal."""
