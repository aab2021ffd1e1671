"""Who waits for a connection waits for others, and is not told that the database is silent."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from handrail.database_engine import open_engine
from handrail.http.admission import Turns
from handrail.http.database import Database
from handrail.http.problems import Problem, unavailable
from tests.api.conftest import API, House


def no_answer() -> Problem:
    return unavailable("database-unavailable", "PostgreSQL did not answer in time")


@pytest.mark.thorough
async def test_who_waits_for_a_free_connection_waits_longer_than_for_an_answer(
    house: House,
) -> None:
    async with open_engine(house.database, role=API, size=1) as engine:
        places = [Database(engine), Database(engine)]

        async def ask(database: Database) -> int:
            async with database.connection(limit=1) as connection:
                found = await connection.execute(text("SELECT pg_sleep(0.3)"))
                return len(found.all())

        answers = await asyncio.gather(*(ask(places[one % 2]) for one in range(14)))
    assert answers == [1] * 14


async def test_a_query_that_takes_too_long_is_still_the_databases_fault(house: House) -> None:
    async with open_engine(house.database, role=API, size=1) as engine:
        with pytest.raises(Problem, match="did not answer"):
            async with Database(engine).connection(limit=0.2) as connection:
                await connection.execute(text("SELECT pg_sleep(2)"))


async def test_who_has_waited_while_the_database_was_silent_does_not_ask_it_again() -> None:
    turns, asked = Turns(1), 0

    async def ask() -> None:
        nonlocal asked
        async with turns.taken():
            asked += 1
            await asyncio.sleep(0)
            raise no_answer()

    answers = await asyncio.gather(*(ask() for _ in range(5)), return_exceptions=True)
    assert [str(one) for one in answers] == [str(no_answer())] * 5
    assert asked == 1
    with pytest.raises(Problem):
        await ask()
    assert asked == 2, "who comes later finds out for itself"


async def test_where_others_were_answered_meanwhile_one_silence_is_not_everybodys() -> None:
    turns = Turns(2)
    silence, answer, rest = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def ask(until: asyncio.Event, failure: Problem | None = None) -> str:
        async with turns.taken():
            await until.wait()
            if failure:
                raise failure
            return "answered"

    silent = asyncio.create_task(ask(silence, no_answer()))
    answered = asyncio.create_task(ask(answer))
    waiting = [asyncio.create_task(ask(rest)) for _ in range(2)]
    await asyncio.sleep(0)
    assert turns.asking == 4
    answer.set()
    await answered
    silence.set()
    with pytest.raises(Problem):
        await silent
    rest.set()
    assert await asyncio.gather(*waiting) == ["answered"] * 2


async def test_a_turn_that_does_not_come_is_no_silence_of_the_database() -> None:
    turns = Turns(1, longest=0.01)
    async with turns.taken():
        with pytest.raises(Problem) as refused:
            async with turns.taken():
                pass
    assert refused.value.slug == "too-busy"
    async with turns.taken():
        assert turns.asking == 1
