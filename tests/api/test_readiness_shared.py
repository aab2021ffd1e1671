"""Any number of requests to `/readyz` costs the database and Temporal what one does."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest

from handrail.http import shared_check
from handrail.http.temporal_gateway import TemporalGateway
from handrail.processes.api import lazy_client
from runtime.app import HANDRAIL
from tests.api.conftest import House
from tests.api.shop import problem
from tests.projections.world import until
from tests.statements import statements_of

FLOOD = 200


async def readyz(api: httpx.AsyncClient, count: int) -> Counter[int]:
    answers = await asyncio.gather(*(api.get("/readyz") for _ in range(count)))
    return Counter(one.status_code for one in answers)


async def test_a_flood_of_requests_shares_one_check(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_check.SharedCheck.__init__, "__defaults__", (600.0,))
    asked: list[TemporalGateway] = []
    reachable = TemporalGateway.reachable

    async def counted(gateway: TemporalGateway) -> bool:
        asked.append(gateway)
        return await reachable(gateway)

    monkeypatch.setattr(TemporalGateway, "reachable", counted)
    sent = statements_of(house.database, monkeypatch)
    async with house.api() as api:
        assert await readyz(api, 1) == {200: 1}
    alone = sum("alembic_version" in one for one in sent)
    sent.clear()
    asked.clear()
    async with house.api() as api:
        assert await readyz(api, FLOOD) == {200: FLOOD}
        assert await readyz(api, FLOOD) == {200: FLOOD}
    assert sum("alembic_version" in one for one in sent) == alone == 1
    assert len(asked) == 1


async def test_what_a_check_found_is_looked_at_again_soon(house: House) -> None:
    [(version,)] = await house.sql("SELECT max(version_num) FROM alembic_version")
    renamed = "UPDATE alembic_version SET version_num = %s WHERE version_num = %s"
    async with house.api() as api:

        async def not_ready() -> bool:
            return await readyz(api, 1) == {503: 1}

        assert await readyz(api, 1) == {200: 1}
        await house.sql(renamed, "0000", version)
        try:
            await until(not_ready)
            problem(await api.get("/readyz"), 503, "not-ready")
        finally:
            await house.sql(renamed, version, "0000")


@pytest.mark.thorough
async def test_a_flood_while_a_dependency_does_not_answer_shares_one_check(
    house: House, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_check.SharedCheck.__init__, "__defaults__", (600.0,))
    away = await lazy_client(f"127.0.0.1:{unused_tcp_port}", "default", HANDRAIL.codec)
    sent = statements_of(house.database, monkeypatch)
    async with house.api(temporal=away) as api:
        assert await readyz(api, FLOOD) == {503: FLOOD}
    assert sum("alembic_version" in one for one in sent) == 1


async def test_a_request_that_is_given_up_takes_the_check_from_no_other() -> None:
    shared, goes_on = shared_check.SharedCheck[int](), asyncio.Event()
    begun = 0

    async def check() -> int:
        nonlocal begun
        begun += 1
        await goes_on.wait()
        return begun

    first, second = (asyncio.create_task(shared.found(check)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    assert await second == 1
    assert first.cancelled()
    assert await shared.found(check) == 1
