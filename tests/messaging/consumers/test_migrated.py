"""A database of before: nothing is read again, and no list or reminder is turned back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, make_url, text

from consumers import warehouse
from consumers.notifications.handler import CONSUMER as NOTIFICATIONS
from consumers.tables import TABLES
from domain.identifiers import CustomerId, MerchantId, OrderId, Sku
from domain.inventory.events import StockReserved
from domain.payments.events import InstalmentCollected, PlannedInstalment, PlanOpened
from domain.shipping.events import ShipmentBooked, ShipmentCancelled, ShipmentDispatched
from handrail import migrations
from handrail.dev.postgres import EmbeddedPostgres
from handrail.messaging.consumers.store_consumer import catch_up
from runtime.app import HANDRAIL
from tests.controls import NOON, eur
from tests.eventstore.old_line import old_line
from tests.messaging.consumers.place import Place, a_place
from tests.projections.stories import placed

ORDER, CUSTOMER = OrderId("o1"), CustomerId("c")


@pytest.fixture
async def place(postgres: EmbeddedPostgres, database_template: str) -> AsyncIterator[Place]:
    """A database of its own, since its tables are changed."""
    name = f"before_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {database_template}".encode())
        async with a_place(postgres.url_of(name)) as one:
            yield one
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def as_it_was(url: str, folder: Path) -> None:
    """Without 0012 of the old line; then up again, with what was in the tables."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        command.downgrade(migrations.configured(connection, TABLES), "0013")
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0012')"))
        command.downgrade(old_line(connection, folder), "0011")
        command.upgrade(migrations.configured(connection, TABLES), "heads")
        migrations.grant(connection, "handrail_app", TABLES)
    engine.dispose()


async def test_what_consumers_wanted_before_is_not_read_again(place: Place, tmp_path: Path) -> None:
    await place.append(
        "stock-m:cup",
        StockReserved(
            merchant=MerchantId("m"),
            sku=Sku("cup"),
            order=ORDER,
            quantity=2,
            available=0,
            reserved=0,
        ),
    )
    await catch_up(place.pool, warehouse.CONSUMER, HANDRAIL.codec)

    await asyncio.to_thread(as_it_was, place.url, tmp_path / "line")
    await place.sql("TRUNCATE inbox")
    await catch_up(place.pool, warehouse.CONSUMER, HANDRAIL.codec)

    assert await place.value("SELECT to_pack FROM packing_lines") == 2
    wanted = await place.sql("SELECT consumer, type FROM consumer_wants ORDER BY type")
    assert wanted == [("logistics", one) for one in sorted(warehouse.CONSUMER.types)]


async def test_a_packing_list_knows_which_events_it_was_made_from(
    place: Place, tmp_path: Path
) -> None:
    await place.append(
        "shipment-o1",
        ShipmentBooked(order=ORDER, booking="b"),
        ShipmentCancelled(order=ORDER),
        ShipmentBooked(order=ORDER, booking="b2"),
        ShipmentDispatched(order=ORDER, at=NOON),
    )
    await catch_up(place.pool, warehouse.CONSUMER, HANDRAIL.codec)

    await asyncio.to_thread(as_it_was, place.url, tmp_path / "line")

    made = await place.sql("SELECT state, made_from, booking, booked_from FROM packing_lists")
    assert made == [("dispatched", 4, "b2", 3)]


@pytest.mark.thorough
async def test_reminders_know_which_version_of_the_plan_they_were_made_from(
    place: Place, tmp_path: Path
) -> None:
    due = NOON.date()
    instalments = tuple(
        PlannedInstalment(number=number, due=due, amount=eur(5)) for number in (1, 2)
    )
    opened = PlanOpened(order=ORDER, customer=CUSTOMER, card="card", instalments=instalments)
    paid = InstalmentCollected(order=ORDER, number=1, principal=eur(5), fees=eur(0), charge="c")
    await place.append("order-o1", placed(ORDER, CUSTOMER))
    await place.append("plan-o1", opened, paid)
    await catch_up(place.pool, NOTIFICATIONS, HANDRAIL.codec)

    await asyncio.to_thread(as_it_was, place.url, tmp_path / "line")

    assert await place.sql("SELECT order_id, plan_from FROM notification_orders") == [("o1", 2)]
