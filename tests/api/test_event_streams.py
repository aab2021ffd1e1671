"""Event streams share one poller, are bounded, and let go of what they hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import httpx
import psycopg
import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from tests.api.conftest import House, open_house
from tests.api.shop import A_LONG_TIME, eventually, problem
from tests.statements import statements_of

_NOTED = """
INSERT INTO events (stream, version, shard, type, schema, data, metadata)
SELECT %(stream)s, %(version)s, 0, 'Noted', 1, '{}', '{}'
"""
_HEAD = """
INSERT INTO streams VALUES (%(stream)s, %(version)s)
ON CONFLICT (name) DO UPDATE SET version = excluded.version
"""


@pytest.fixture(scope="module")
async def house(
    postgres: EmbeddedPostgres, template_with_read_models: str, temporal: WorkflowEnvironment
) -> AsyncIterator[House]:
    """Of these tests alone: their events are of no code that there is, and a read model waits in
    front of such an event for a release that reads it.
    """
    async with open_house(postgres, template_with_read_models, temporal) as house:
        yield house


async def told(house: House, saga: str, version: int) -> None:
    """One more event of a saga that no workflow runs; only its stream is looked at here."""
    asked = {"stream": f"saga-{saga}", "version": version}
    async with await psycopg.AsyncConnection.connect(house.database) as owner:
        await owner.execute(_NOTED, asked)
        await owner.execute(_HEAD, asked)


async def versions(stream: httpx.Response) -> AsyncIterator[int]:
    async for line in stream.aiter_lines():
        if line.startswith("id: "):
            yield int(line.removeprefix("id: "))


@asynccontextmanager
async def readers(api: httpx.AsyncClient, sagas: list[str]) -> AsyncIterator[list[httpx.Response]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(api.stream("GET", f"/sagas/{saga}/events"))
            for saga in sagas
        ]


async def first(stream: AsyncIterator[int]) -> int:
    async with asyncio.timeout(A_LONG_TIME):
        return await anext(stream)


@pytest.mark.thorough
@pytest.mark.parametrize("count", [10, 100])
async def test_one_look_is_for_all_streams_however_many_there_are(
    house: House, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    sagas = [f"silent-{uuid4().hex[:10]}" for _ in range(count)]
    for saga in sagas:
        await told(house, saga, 1)
    async with house.api() as api, readers(api, sagas) as streams:
        following = [versions(one) for one in streams]
        assert [await first(one) for one in following] == [1] * count
        sent = statements_of(house.database, monkeypatch)

        async def looks() -> list[str]:
            found = [one for one in sent if "events" in one and "version >" in one]
            return found if len(found) >= 6 else []

        assert all("WITH ORDINALITY" in one for one in await eventually(looks, "six looks"))
        await told(house, sagas[-1], 2)
        assert await first(following[-1]) == 2


async def test_every_stream_gets_its_own_events(house: House) -> None:
    sagas = [f"own-{uuid4().hex[:10]}" for _ in range(20)]
    for saga in sagas:
        await told(house, saga, 1)
    async with house.api() as api, readers(api, sagas) as streams:
        following = [versions(one) for one in streams]
        assert [await first(one) for one in following] == [1] * 20
        for version in (2, 3):
            for saga in sagas[::2]:
                await told(house, saga, version)
            assert [await first(one) for one in following[::2]] == [version] * 10


async def test_two_readers_of_one_stream_both_get_its_events(house: House) -> None:
    saga = f"two-{uuid4().hex[:10]}"
    await told(house, saga, 1)
    async with house.api() as api, readers(api, [saga, saga]) as streams:
        following = [versions(one) for one in streams]
        assert [await first(one) for one in following] == [1, 1]
        await told(house, saga, 2)
        assert [await first(one) for one in following] == [2, 2]


@pytest.mark.thorough
async def test_a_stream_of_more_events_than_one_look_reads_is_sent_whole(house: House) -> None:
    saga = f"long-{uuid4().hex[:10]}"
    for version in range(1, 451):
        await told(house, saga, version)
    async with house.api() as api, readers(api, [saga]) as [stream]:
        following = versions(stream)
        assert [await first(following) for _ in range(450)] == list(range(1, 451))


async def test_a_client_may_have_so_many_streams_open_and_no_more(house: House) -> None:
    saga = f"many-{uuid4().hex[:10]}"
    await told(house, saga, 1)
    async with house.api(bounds={"event_streams_per_client": 2}) as api:
        async with readers(api, [saga, saga]):
            refused = await api.get(f"/sagas/{saga}/events")
            problem(refused, 429, "too-many-streams")
            assert int(refused.headers["Retry-After"]) > 0

        async def taken() -> bool:
            async with api.stream("GET", f"/sagas/{saga}/events") as stream:
                return stream.status_code == 200

        await eventually(taken, "those that were closed leave room for others")


async def test_a_process_has_so_many_streams_open_and_no_more(house: House) -> None:
    saga = f"full-{uuid4().hex[:10]}"
    await told(house, saga, 1)
    async with house.api(bounds={"event_streams": 2}) as api, readers(api, [saga, saga]):
        problem(await api.get(f"/sagas/{saga}/events"), 503, "too-busy")
        assert (await api.get("/orders")).status_code == 200
