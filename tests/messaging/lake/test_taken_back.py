"""The store lost what the lake has: it is named, and the lake is put back to what both have."""

from __future__ import annotations

import pytest

from domain.identifiers import OrderId
from domain.ordering.events import OrderConfirmed
from handrail.lake.exporter import OtherLake
from handrail.restore import commands
from handrail.settings import Settings
from runtime.app import HANDRAIL
from tests.messaging.lake.place import Place, a_place

REMEMBER = "CREATE TABLE was_{0} AS SELECT * FROM {0}"
PUT_BACK = "DELETE FROM {0}; INSERT INTO {0} SELECT * FROM was_{0}"
TABLES = ("checkpoints", "lake_batches", "streams", "outbox")


async def _confirms(place: Place, *orders: str) -> None:
    for order in orders:
        await place.append(f"order-{order}", OrderConfirmed(order=OrderId(order)))


async def _loses(place: Place) -> None:
    """What came since it was remembered."""
    await place.sql.execute("SET session_replication_role = replica")
    for table in TABLES:
        await place.sql.execute(PUT_BACK.format(table).encode())
    await place.sql.execute(
        "DELETE FROM events e WHERE NOT EXISTS (SELECT FROM was_events w"
        " WHERE w.position = e.position)"
    )
    await place.sql.execute("UPDATE store_epochs SET timeline = 0")  # and is on a new timeline
    await place.sql.execute("SET session_replication_role = origin")
    for table in (*TABLES, "events"):
        await place.sql.execute(f"DROP TABLE was_{table}".encode())


@pytest.mark.thorough
@pytest.mark.parametrize("lost_batches", [1, 3])
async def test_the_lake_is_put_back_and_has_everything_once_again(
    place: Place, capsys: pytest.CaptureFixture[str], lost_batches: int
) -> None:
    await _confirms(place, "a", "b")
    await place.export()
    await _confirms(place, "c")  # in the store, and not yet in the lake
    for table in (*TABLES, "events"):
        await place.sql.execute(REMEMBER.format(table).encode())
    for number in range(lost_batches):
        await _confirms(place, f"lost-{number}")
        await place.export()
    await _loses(place)
    settings = Settings(database_url=place.url, lake_dir=place.folder)

    assert await commands.check(settings, HANDRAIL.codec, json=False) == 1
    said = capsys.readouterr().out
    assert "order-lost-0/1" in said
    assert "order-c/1" not in said
    with pytest.raises(OtherLake):
        await place.exporter().catch_up()
    adopted = await commands.adopt(
        settings,
        HANDRAIL.codec,
        because="the last moments were lost",
        by="ann",
        yes=True,
        same_server=False,
        json=False,
    )
    assert adopted == 0
    async with a_place(place.url, place.folder) as after:
        await _confirms(after, "d", "lost-0")
        await after.export()
        await after.there_is_everything_once()
    assert await commands.check(settings, HANDRAIL.codec, json=False) == 0
