"""What lies in `dead` and `unrouted` is looked at, redriven, edited, discarded: nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiormq.exceptions import ChannelAccessRefused
from sqlalchemy.ext.asyncio import AsyncEngine

from handrail.database_engine import open_engine
from handrail.messaging.broker.dead_message import NotFound, NotToBeEdited
from handrail.messaging.broker.management_api import BrokerSaidNo
from tests.messaging.broker.dead import BY, KEY, LEDGER, Dead, a_dead_letter_office, acts
from tests.messaging.broker.house import House

API = "handrail_app"


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    async with open_engine(database, role=API) as engine:
        yield engine


@pytest.fixture
async def dead(house: House, engine: AsyncEngine) -> AsyncIterator[Dead]:
    async with a_dead_letter_office(house, engine) as dead:
        yield dead


async def test_to_look_takes_nothing_away_and_comes_in_pages(dead: Dead) -> None:
    await dead.dies("one", "two", "three")
    first = await dead.at.look("finance", "dead", limit=2)
    second = await dead.at.look("finance", "dead", after=2, limit=2)

    assert [one.message_id for one in first.messages] == ["one", "two"]
    assert [one.message_id for one in second.messages] == ["three"]
    assert (first.total, second.total) == (3, 3)
    [seen, *_] = first.messages
    assert (seen.queue, seen.cause, seen.exchange, seen.routing_key) == (
        *(LEDGER, "rejected"),
        *("money", KEY),
    )
    assert seen.text == '{"fee": "wrong"}'
    assert seen.since is not None
    assert await dead.at.one("finance", "dead", seen.id) == seen
    assert len(await dead.bodies("dead", 3)) == 3


async def test_one_goes_back_into_its_queue_with_its_id_and_its_original_is_kept(
    dead: Dead, engine: AsyncEngine
) -> None:
    await dead.dies("one", "two")
    [one, _] = (await dead.at.look("finance", "dead")).messages
    done = await dead.at.redrive("finance", "dead", BY, ids=[one.id])

    assert (done.done, done.left, done.remaining) == ([one.id], {}, 1)
    await dead.holds(LEDGER, "one")
    await dead.holds("dead", "two")
    [kept] = await acts(engine)
    assert (kept["act"], kept["actor"], kept["message_id"]) == ("redrive", "person:olaf", "one")
    assert (kept["body"], kept["sent_to"]) == (b'{"fee": "wrong"}', [LEDGER])
    assert kept["headers"]["x-first-death-queue"] == LEDGER
    assert kept["settled_at"] is not None


async def test_some_and_all_go_back_in_their_order(dead: Dead) -> None:
    await dead.dies(*"abcdef")
    messages = (await dead.at.look("finance", "dead")).messages
    some = await dead.at.redrive("finance", "dead", BY, ids=[messages[1].id, messages[4].id])
    await dead.holds(LEDGER, "b", "e")
    every = await dead.at.redrive("finance", "dead", BY)
    assert (len(some.done), len(every.done), every.remaining) == (2, 4, 0)
    await dead.holds(LEDGER, "b", "e", "a", "c", "d", "f")


async def test_an_edited_message_goes_with_its_own_id_and_the_original_is_kept(
    dead: Dead, engine: AsyncEngine
) -> None:
    await dead.dies("one")
    [one] = (await dead.at.look("finance", "dead")).messages
    with pytest.raises(NotToBeEdited):
        await dead.at.edit("finance", "dead", BY, one.id, b"no json")
    await dead.at.edit("finance", "dead", BY, one.id, b'{"fee": 3}')

    await dead.holds(LEDGER, "one")
    assert await dead.bodies(LEDGER) == [b'{"fee": 3}']
    [kept] = await acts(engine)
    assert (kept["act"], kept["body"], kept["edited"]) == (
        *("edit", b'{"fee": "wrong"}'),
        b'{"fee": 3}',
    )


async def test_a_discarded_message_is_gone_and_kept(dead: Dead, engine: AsyncEngine) -> None:
    await dead.dies("one")
    [one] = (await dead.at.look("finance", "dead")).messages
    await dead.at.discard("finance", "dead", BY, [one.id])

    assert (await dead.ids("dead"), await dead.ids(LEDGER)) == ([], [])
    [kept] = await acts(engine)
    assert (kept["act"], kept["body"], kept["reason"]) == ("discard", one.body, BY.reason)


async def test_an_unrouted_message_goes_where_a_queue_is_bound_now_or_stays(dead: Dead) -> None:
    await dead.unrouted("lost", "credit.Unheard.v1")
    stays = await dead.at.redrive("finance", "unrouted", BY)
    [why] = stays.left.values()
    assert "no queue of finance is bound to credit.Unheard.v1" in why
    await dead.holds("unrouted", "lost")

    binding = {"routing_key": "credit.Unheard.*", "arguments": {}}
    await dead.house.ask("POST", f"bindings/finance/e/money/q/{LEDGER}", binding)
    goes = await dead.at.redrive("finance", "unrouted", BY)
    assert (len(goes.done), goes.remaining) == (1, 0)
    await dead.holds(LEDGER, "lost")


async def test_what_is_not_there_is_said_and_other_queues_are_refused(dead: Dead) -> None:
    gone = await dead.at.redrive("finance", "dead", BY, ids=["0" * 32])
    assert "it is not there" in gone.left["0" * 32]
    for vhost, queue in (("commerce", "dead"), ("finance", LEDGER), ("nowhere", "dead")):
        with pytest.raises(NotFound):
            await dead.at.look(vhost, queue)  # type: ignore[arg-type]  # on purpose


async def test_the_operator_may_take_from_no_other_queue(dead: Dead) -> None:
    async with dead.house.connected("operator", "finance") as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(LEDGER, ensure=False)
        with pytest.raises(ChannelAccessRefused):
            await queue.purge()


async def test_a_broker_that_is_away_says_so(dead: Dead) -> None:
    away = replace(dead.at, url=lambda: "amqp://operator:x@127.0.0.1:1")
    with pytest.raises(BrokerSaidNo):
        await away.look("finance", "dead")


async def test_a_process_that_is_killed_in_between_leaves_a_duplicate_and_never_a_loss(
    dead: Dead, engine: AsyncEngine, database: str
) -> None:
    """Killed after the broker confirmed the copy, and before the original was taken away."""
    await dead.dies("one")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.messaging.broker.killed_redriving"),
        dead.house.server.url,
        dead.house.server.management_url,
        database,
    )
    assert await process.wait() == -signal.SIGKILL
    await dead.waits("dead", 1)
    await dead.holds("dead", "one")
    await dead.holds(LEDGER, "one")
    [kept] = await acts(engine)
    assert (kept["message_id"], kept["settled_at"]) == ("one", None)

    again = await dead.at.redrive("finance", "dead", BY)
    assert (len(again.done), again.remaining) == (1, 0)
    await dead.holds(LEDGER, "one", "one")
