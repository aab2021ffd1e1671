"""What an operator sees of consumers before anything is changed, and what is changed then."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from consumers import finance
from handrail.eventstore.subscriptions.registration import enroll
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.consumers.progress import (
    Target,
    Unwanted,
    bring_back,
    read_history,
    show_standing,
)
from handrail.messaging.consumers.prune_inbox import prune
from handrail.messaging.consumers.store_consumer import catch_up, snapshot
from handrail.messaging.relay.parked_messages import RELAY
from handrail.personal import is_sealed
from handrail.processes.relay import forget_relay
from handrail.settings import Settings
from runtime.app import HANDRAIL
from tests.messaging.consumers.place import Place, ids
from tests.messaging.consumers.test_finance import happened, sold
from tests.messaging.consumers.test_processes import handrail
from tests.messaging.consumers.test_wants import happens, new, old

Said = tuple[int, dict[str, Any], str]
BY = ("ann", "ticket 7")


async def status(place: Place, consumer: Consumer) -> Said:
    console = Console(file=StringIO(), width=300)
    async with place.pool.connection() as connection:
        code, figures = await show_standing(connection, console, [consumer])
    return code, figures["consumers"][0], console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


async def backfill(place: Place, consumer: Consumer, *, yes: bool) -> Said:
    console = Console(file=StringIO(), width=300)
    async with place.pool.connection() as connection:
        code, figures = await read_history(connection, console, consumer, HANDRAIL.codec, yes=yes)
    return code, figures, console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


async def rewind(
    place: Place, consumer: Consumer, target: Target, *types: str, yes: bool = False
) -> Said:
    console = Console(file=StringIO(), width=300)
    async with place.pool.connection() as connection:
        code, figures = await bring_back(
            connection, console, consumer, target, types, by=BY, yes=yes
        )
    return code, figures, console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


async def test_status_says_how_far_a_consumer_is_and_what_it_has_to_read(place: Place) -> None:
    code, before, said = await status(place, old().consumer)
    assert (code, before["shards"], "it has not begun" in said) == (0, 0, True)
    await happens(place, "aAbB")
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)
    await happens(place, "a")

    code, figures, _ = await status(place, old().consumer)
    assert (code, figures["unread"], figures["shards"]) == (0, 1, 16)

    code, figures, said = await status(place, new().consumer)
    assert (code, figures["unregistered"]) == (1, ["OrderRejected"])
    assert "handrail consumers backfill notebook" in said

    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    code, figures, said = await status(place, new().consumer)
    assert (code, figures["unread"], figures["from_history"]) == (0, 0, [])

    code, figures, said = await status(place, old().consumer)
    assert (code, figures["unwanted"]) == (0, ["OrderRejected"])


async def test_a_backfill_says_what_it_will_read_and_does_it_with_yes(place: Place) -> None:
    await happens(place, "aAbBA")
    await catch_up(place.pool, old().consumer, HANDRAIL.codec)

    code, figures, said = await backfill(place, new().consumer, yes=False)
    assert (code, figures["types"]) == (1, {"OrderRejected": 3})
    assert "Nothing was changed" in said
    assert sorted(await place.noted()) == [*ids("a", 1), *ids("b", 1)]

    code, figures, _ = await backfill(place, new().consumer, yes=True)
    assert (code, figures) == (0, {"read": 3, "done": True})
    assert sorted(await place.noted()) == [*ids("a", 1, 2, 3), *ids("b", 1, 2)]
    assert (await backfill(place, new().consumer, yes=False))[0] == 0


async def test_a_rewind_says_what_is_handled_twice_and_does_it_with_yes(place: Place) -> None:
    await happens(place, "aAbB")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    position = (await place.messages())[1].position

    code, figures, said = await rewind(place, new().consumer, Target(position, None))
    assert (code, figures["events"], figures["rewound"]) == (1, 2, False)
    assert "whatever the handler does, it does once more" in said
    assert "handles 2 events again" in said
    assert await place.sql("SELECT FROM consumer_backfills") == []

    code, figures, _ = await rewind(place, new().consumer, Target(position, None), yes=True)
    assert (code, figures["rewound"]) == (0, True)
    assert (await status(place, new().consumer))[1]["from_history"] == [
        "OrderConfirmed",
        "OrderRejected",
    ]
    await backfill(place, new().consumer, yes=True)
    assert sorted(await place.noted()) == sorted(ids("a", 1, 2) + ids("b", 1, 1, 2, 2))


async def test_a_rewind_goes_back_to_a_moment_of_one_type(place: Place) -> None:
    await happens(place, "aA")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    first, _ = await place.messages()
    target = Target(None, first.recorded_at - timedelta(hours=1))

    code, figures, _ = await rewind(place, new().consumer, target, "OrderRejected", yes=True)

    assert (code, figures["position"], figures["types"]) == (0, 0, {"OrderRejected": 1})


async def test_a_type_that_the_consumer_does_not_want_is_not_rewound(place: Place) -> None:
    with pytest.raises(Unwanted, match="OrderPlaced"):
        await rewind(place, new().consumer, Target(0, None), "OrderPlaced")


async def test_where_nothing_was_handled_there_is_nothing_to_confirm(place: Place) -> None:
    await happens(place, "a")
    await catch_up(place.pool, new().consumer, HANDRAIL.codec)
    last = (await place.messages())[-1].position

    code, figures, _ = await rewind(place, new().consumer, Target(last, None), yes=True)

    assert (code, figures["events"], figures["rewound"]) == (0, 0, False)


async def test_before_a_relay_is_forgotten_it_is_said_what_comes_again(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(database_url=place.url, data_dir=Path("/"))
    await happened(place, sold)
    await catch_up(place.pool, finance.CONSUMER, HANDRAIL.codec)
    await place.sql("UPDATE inbox SET received_at = received_at - interval '91 days'")
    async with place.pool.connection() as connection:
        await enroll(connection, RELAY)
        assert await prune(connection, finance.CONSUMER, await snapshot(connection))

    assert await forget_relay(settings, yes=False, json=True) == 1

    said = capsys.readouterr()
    figures = orjson.loads(said.out.splitlines()[-1])
    again = {one["consumer"]: one for one in figures["consumers"]}
    wanted = sum(type(event) in finance.CONSUMER.wants for _, event in sold)
    assert (figures["events"], figures["forgotten"]) == (len(sold), False)
    assert again["finance"] == {"consumer": "finance", "wanted": wanted, "known": wanted}
    assert again["notifications"]["known"] == 0
    assert "Nothing was forgotten" in said.err
    assert await place.value("SELECT count(*) FROM checkpoints WHERE projection = 'relay'") == 16

    assert await forget_relay(settings) == 0
    assert await place.value("SELECT count(*) FROM checkpoints WHERE projection = 'relay'") == 0


@pytest.mark.journey  # it starts whole processes
async def test_an_operator_types_them(place: Place, tmp_path: Path) -> None:
    await happened(place, sold)
    await catch_up(place.pool, finance.CONSUMER, HANDRAIL.codec)
    async with place.pool.connection() as connection:
        await enroll(connection, RELAY)

    code, figures, _ = await handrail(place, tmp_path, "consumers", "status", "--json")
    assert (code, {one["name"] for one in figures["consumers"]} >= {"finance"}) == (0, True)
    code, figures, _ = await handrail(place, tmp_path, "consumers", "backfill", "finance", "--json")
    assert (code, figures["done"]) == (0, True)

    back = ("consumers", "rewind", "finance", "--reason", "ticket 7", "--json")
    code, figures, said = await handrail(place, tmp_path, *back, "--to-time", "2000-01-01")
    assert (code, figures["rewound"], "Nothing was changed" in said) == (1, False, True)
    code, figures, _ = await handrail(place, tmp_path, *back, "--to-position", "0", "--yes")
    assert (code, figures["rewound"]) == (0, True)
    assert is_sealed(await place.value("SELECT DISTINCT reason FROM consumer_backfills"))
    code, figures, _ = await handrail(
        place, tmp_path, "consumers", "backfill", "finance", "--yes", "--json"
    )
    assert (code, figures["done"]) == (0, True)

    code, figures, _ = await handrail(place, tmp_path, "relay", "forget", "--json")
    assert (code, figures["forgotten"]) == (1, False)
    code, figures, _ = await handrail(place, tmp_path, "relay", "forget", "--yes", "--json")
    assert (code, figures["forgotten"]) == (0, True)
