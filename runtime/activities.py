"""The shop's activities, by context."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from activities import credit, customers, inventory, ordering, queries
from activities.payments import activities as payments
from activities.payments.gateway import Bank, HttpBank
from activities.settlement import activities as settlement
from activities.settlement.gateway import HttpRegistry, Registry
from activities.shipping import activities as shipping
from activities.shipping.gateway import Carrier, HttpCarrier
from handrail.activities.company_access import company_access
from handrail.activities.http_gateway import HttpGateway
from handrail.activities.resources import Resources
from handrail.eventstore.store import EventStore
from handrail.temporal.client import Activities
from runtime import payable_reader
from runtime.customer_rows import NoRows, StoredRows
from runtime.settings import ShopSettings


def of_contexts(
    store: EventStore, engine: AsyncEngine | None, bank: Bank, carrier: Carrier, registry: Registry
) -> Activities:
    """Without an engine nothing reads the balances of merchants."""
    return {
        "sagas": [
            *queries.activities(store),
            *(payable_reader.activities(engine) if engine else ()),
        ],
        "ordering": ordering.activities(store),
        "inventory": inventory.activities(store),
        "credit": credit.activities(store),
        "payments": payments.activities(store, bank),
        "shipping": shipping.activities(store, carrier),
        "settlement": settlement.activities(store, registry),
        "customers": customers.activities(store, StoredRows(engine) if engine else NoRows()),
    }


def activities(resources: Resources) -> Activities:
    settings: ShopSettings = resources.settings

    def company(name: str, url: str | None, seconds: float) -> HttpGateway:
        return HttpGateway(
            resources.outside,
            url or "",
            connect_seconds=seconds,
            read_seconds=seconds,
            access=company_access(settings, name),
        )

    return of_contexts(
        resources.store,
        resources.engine,
        HttpBank(company("bank", settings.bank_url, settings.bank_timeout_seconds)),
        HttpCarrier(company("carrier", settings.carrier_url, settings.carrier_timeout_seconds)),
        HttpRegistry(company("registry", settings.registry_url, settings.registry_timeout_seconds)),
    )
