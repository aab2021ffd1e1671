"""Which sources of webhooks there are is no longer the table's to say: what it holds stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url

from handrail.eventstore import migrations
from handrail.eventstore.migrations import upgrade
from tests.eventstore.interleaving import Lab

KEEP = (
    "INSERT INTO webhooks (source, id, type, body, status)"
    " VALUES (%s, 'msg_1', 'some.thing', '', 'waiting')"
)


def _downgrade(url: str, to: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.downgrade(config, to)
    engine.dispose()


async def test_webhooks_stay_and_those_of_new_sources_are_kept(own_lab: Lab) -> None:
    url = own_lab.url
    await asyncio.to_thread(_downgrade, url, "0012")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(KEEP, ["bank"])
        with pytest.raises(psycopg.errors.CheckViolation):
            await connection.execute(KEEP, ["airport"])

        await asyncio.to_thread(upgrade, url, "handrail_app")

        await connection.execute(KEEP, ["airport"])
        found = await connection.execute("SELECT source FROM webhooks ORDER BY source")
        assert await found.fetchall() == [("airport",), ("bank",)]
        with pytest.raises(psycopg.errors.CheckViolation):
            await connection.execute(KEEP, ["a" * 65])
