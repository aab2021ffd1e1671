"""The boards of an App with a word of its own, built from what was stored before and since."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import pytest

from handrail.access.principal import EVERYTHING
from handrail.app import App
from handrail.kernel import Money, TenantId
from handrail.projections import intervention_board, saga_board
from handrail.projections.install import install
from handrail.projections.rebuild import rebuild
from handrail.sagas.events import SagaParked, SagaStarted
from handrail.sagas.interventions import InterveneInMany, InterventionBegun, SagaFilter, Which
from tests.projections.world import ROLE, World, a_world

TEAMS: Final = App(contexts=(), tenant="team")
BEFORE: Final = App(contexts=(), tenant="merchant")
"""As every App was, before it could say a word."""
BOARD: Final = TEAMS.saga_board.table
MANY: Final = InterventionBegun(
    intervention="many",
    asked=InterveneInMany(
        intervention="many",
        which=Which(tenant="sales"),
        kind="retry",
        actor="ann",
        reason="their system is back",
        per_second=1,
    ),
    found=1,
    until=datetime(2026, 3, 2, tzinfo=UTC),
)


def started(saga: str, tenant: str) -> SagaStarted:
    return SagaStarted(
        saga=saga,
        saga_type="BookTrip",
        shape=1,
        attempt=1,
        tenant=TenantId(tenant),
        at_stake=Money(100, "EUR"),
        actor="ann",
    )


def parked(saga: str) -> SagaParked:
    return SagaParked(saga=saga, attempt=1, step="BookFlight", direction="do", cause="503")


@pytest.fixture
async def teams(database: str) -> AsyncIterator[World]:
    """A saga and an intervention from before, on boards that are replaced, for the App has said its
    word since; then another saga, and one of another team.
    """
    async with a_world(database) as world:
        await world.append("saga-old", started("old", "sales"), codec=BEFORE.codec)
        await world.append("intervention-many", MANY, codec=BEFORE.codec)
        await world.catch_up(BEFORE.read_models, codec=BEFORE.codec)
        await asyncio.to_thread(install, database, ROLE, TEAMS.read_models)
        async with world.running(world.runner(TEAMS.read_models, codec=TEAMS.codec)):
            names = [TEAMS.saga_board.name, TEAMS.intervention_board.name]
            await rebuild(database, ROLE, names, TEAMS.read_models)
        await world.append("saga-new", started("new", "sales"), parked("new"), codec=TEAMS.codec)
        await world.append("saga-other", started("other", "research"), codec=TEAMS.codec)
        await world.catch_up(TEAMS.read_models, codec=TEAMS.codec)
        yield world


async def test_the_column_has_the_word(teams: World) -> None:
    rows = await teams.sql("SELECT saga, team FROM saga_board ORDER BY saga")
    assert rows == [("new", "sales"), ("old", "sales"), ("other", "research")]


async def test_sagas_are_found_by_their_tenant(teams: World) -> None:
    async with teams.engine.connect() as connection:
        found = await saga_board.sagas(
            connection, TEAMS.saga_board, visible=EVERYTHING, tenant="sales"
        )
        one = await saga_board.saga(connection, BOARD, "old")
        waiting = await saga_board.parked(connection, BOARD, SagaFilter(tenant="sales"))
        none = await saga_board.parked(connection, BOARD, SagaFilter(tenant="research"))
    assert {row.saga for row in found.rows} == {"old", "new"}
    assert one is not None
    assert one.tenant == "sales"
    assert [row.saga for row in waiting.rows] == ["new"]
    assert none.rows == []


async def test_an_intervention_shows_the_tenant_under_the_word(teams: World) -> None:
    async with teams.engine.connect() as connection:
        row = await intervention_board.intervention(connection, "many")
    assert row is not None
    assert {name: said for name, said in row.which.items() if said} == {"team": "sales"}


def test_boards_with_the_word_of_before_keep_their_version() -> None:
    """So that the boards of an App that goes on with it are not built anew."""
    assert (BEFORE.saga_board.version, BEFORE.intervention_board.version) == (5, 1)


def test_boards_with_different_words_have_different_versions() -> None:
    apps = [App(contexts=(), tenant=word) for word in ("merchant", "tenant", "team", "clinic")]
    assert len({one.saga_board.version for one in apps}) == len(apps)
    assert all(one.saga_board.version < 2**31 for one in apps)
