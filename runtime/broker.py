"""The shop's broker: finance and logistics each follow an exchange with what concerns them."""

from __future__ import annotations

from typing import Final

from handrail.messaging.broker.plan import BrokerPlan, PartialExchange

BROKER: Final = BrokerPlan(
    home="commerce",
    exchanges=(
        PartialExchange(
            name="money",
            contexts=("credit", "payments", "settlement"),
            about="Credit, payments and settlement: what finance follows.",
        ),
        PartialExchange(
            name="parcels",
            contexts=("inventory", "shipping"),
            about="Stock and shipments: what logistics follows.",
        ),
    ),
    services={"finance": "money", "logistics": "parcels", "customers": "events"},
    logs={
        "events.log": ("events", "sagas"),
        "money.log": ("money",),
        "parcels.log": ("parcels",),
    },
)
