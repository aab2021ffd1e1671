"""Event streams over a store that lost its last moments: a reader misses nothing that exists."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest

from handrail.database_engine import open_engine
from handrail.dev.postgres import EmbeddedPostgres
from tests.api.conftest import API, House
from tests.api.shop import A_LONG_TIME, problem
from tests.servers.postgres import sql

SAGA = "s"
_NOTED = (
    "WITH one AS (INSERT INTO events (stream, version, shard, type, schema, data, metadata)"
    " VALUES ('saga-s', %s, 0, 'Noted', 1, jsonb_build_object('is', %s::text), '{}'))"
    " INSERT INTO streams VALUES ('saga-s', %s)"
    " ON CONFLICT (name) DO UPDATE SET version = excluded.version"
)
_LOSE = (
    "SET session_replication_role = replica;"
    " DELETE FROM events WHERE version > {upto};"
    " UPDATE streams SET version = {upto};"
    " SELECT adopt_store('the last moments were lost', 'tests')"
)


@dataclass(frozen=True)
class Elsewhere:
    """An API over a store of its own."""

    api: httpx.AsyncClient
    url: str

    async def noted(self, *versions: int, what: str = "first") -> None:
        for version in versions:
            await sql(self.url, _NOTED, version, what, version)

    async def loses_what_came_after(self, version: int) -> None:
        await sql(self.url, _LOSE.format(upto=version))

    def follow(self, last: str | None = None) -> AsyncIterator[tuple[str, str]]:
        return _events(self.api, {} if last is None else {"Last-Event-ID": last})


async def _events(
    api: httpx.AsyncClient, headers: dict[str, str]
) -> AsyncIterator[tuple[str, str]]:
    """The id of each event, and what it is."""
    async with api.stream("GET", f"/sagas/{SAGA}/events", headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        id_ = data = ""
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "data":
                data = json.loads(value)["data"]["is"]
            elif name == "id":
                id_ = value
            elif not line and id_:
                yield id_, data
                id_ = ""


async def take(events: AsyncIterator[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    async with asyncio.timeout(A_LONG_TIME):
        return [await anext(events) for _ in range(count)]


@pytest.fixture
async def elsewhere(
    house: House, postgres: EmbeddedPostgres, template_with_read_models: str
) -> AsyncIterator[Elsewhere]:
    name = f"handrail_epochs_{uuid4().hex[:8]}"
    await sql(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template_with_read_models}")
    url = postgres.url_of(name)
    async with open_engine(url, role=API) as engine, house.api(engine=engine) as client:
        yield Elsewhere(client, url)


async def test_who_comes_back_after_a_loss_gets_the_events_under_the_versions_that_were_lost(
    elsewhere: Elsewhere,
) -> None:
    await elsewhere.noted(1, 2, 3, 4)
    known = await take(elsewhere.follow(), 4)
    await elsewhere.loses_what_came_after(2)
    await elsewhere.noted(3, 4, 5, what="second")

    found = await take(elsewhere.follow(known[-1][0]), 3)

    assert known[-1] == ("4", "first")
    assert found == [("2-3", "second"), ("2-4", "second"), ("2-5", "second")]


async def test_who_knows_more_than_the_store_has_now_waits_behind_what_came_through(
    elsewhere: Elsewhere,
) -> None:
    await elsewhere.noted(1, 2, 3, 4)
    await elsewhere.loses_what_came_after(2)

    following = asyncio.create_task(take(elsewhere.follow("4"), 1))
    await asyncio.sleep(0)
    await elsewhere.noted(3, what="second")

    assert await following == [("2-3", "second")]


async def test_an_id_of_this_epoch_goes_on_behind_its_event(elsewhere: Elsewhere) -> None:
    await elsewhere.noted(1, 2)
    await elsewhere.loses_what_came_after(2)
    await elsewhere.noted(3, 4, what="second")

    assert await take(elsewhere.follow("2-3"), 1) == [("2-4", "second")]
    assert await take(elsewhere.follow("2"), 1) == [("2-3", "second")]
    assert await take(elsewhere.follow("1"), 1) == [("2-2", "first")]


async def test_several_losses_leave_what_came_through_all_of_them(elsewhere: Elsewhere) -> None:
    await elsewhere.noted(1, 2, 3)
    await elsewhere.loses_what_came_after(2)
    await elsewhere.noted(3, 4, what="second")
    await elsewhere.loses_what_came_after(1)
    await elsewhere.noted(2, 3, 4, what="third")

    assert (await take(elsewhere.follow("3"), 1))[0] == ("3-2", "third")
    assert (await take(elsewhere.follow("2-4"), 1))[0] == ("3-2", "third")
    assert (await take(elsewhere.follow("3-2"), 1))[0] == ("3-3", "third")


async def test_a_stream_that_is_open_ends_when_the_store_is_another(elsewhere: Elsewhere) -> None:
    await elsewhere.noted(1, 2, 3)
    events = elsewhere.follow()
    assert len(await take(events, 3)) == 3

    await elsewhere.loses_what_came_after(2)
    await elsewhere.noted(3, what="second")

    async with asyncio.timeout(A_LONG_TIME):
        assert [one async for one in events] == []


@pytest.mark.quick(2)
@pytest.mark.parametrize("said", ["3", "2-1", "1-1x", "0-1", "-1", "1-"])
async def test_what_is_no_id_of_an_event_is_said(elsewhere: Elsewhere, said: str) -> None:
    await elsewhere.noted(1)

    answer = await elsewhere.api.get(f"/sagas/{SAGA}/events", headers={"Last-Event-ID": said})

    problem(answer, 400, "malformed-header")
