"""`handrail verify` as a command: a tick or a cross, a last line for programs, an exit code."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest

from handrail.eventstore.codec import Codec
from handrail.evolution.changes import NewVersion
from runtime.app import HANDRAIL
from runtime.verify.verification import NAMES
from tests.projections.world import a_world
from tests.runtime.conftest import Spawn
from tests.runtime.stores import Happening
from tests.runtime.test_invariants import A_COMPLETED_ORDER

Said = tuple[int | None, str, str]


async def verified(
    handrail: Spawn, database: str, story: Sequence[Happening], **settings: str
) -> Said:
    async with a_world(database) as world:
        for stream, event in story:
            await world.append(stream, event)
    process = await handrail("verify", "--json", database_url=database, **settings)
    out, error = await process.communicate()
    return process.returncode, out.decode(), error.decode()


async def test_it_says_that_all_is_well(handrail: Spawn, database_with_read_models: str) -> None:
    code, out, error = await verified(handrail, database_with_read_models, A_COMPLETED_ORDER)

    assert code == 0, error
    said = orjson.loads(out)
    assert said["invariants"] == dict.fromkeys(NAMES, True)
    assert (said["events"], said["explained"]) == (len(A_COMPLETED_ORDER), {})


async def test_it_says_what_is_wrong(handrail: Spawn, database_with_read_models: str) -> None:
    unpaid = [one for one in A_COMPLETED_ORDER if one[0] != "payment-o1"]

    code, out, error = await verified(handrail, database_with_read_models, unpaid)

    assert code == 1
    broken = [name for name, holds in orjson.loads(out)["invariants"].items() if not holds]
    assert broken == ["money_conserved"]
    assert "order o1 (completed): customer pays" in error


@pytest.mark.thorough
async def test_it_says_who_does_not_answer(handrail: Spawn, database_with_read_models: str) -> None:
    for away in ({"temporal_address": "127.0.0.1:9"}, {"bank_url": "http://127.0.0.1:9"}):
        code, out, error = await verified(handrail, database_with_read_models, [], **away)

        assert (code, out) == (1, "")
        assert error.strip().endswith("does not answer: is it up?")


async def test_a_store_of_a_newer_release_takes_the_command_of_that_release(
    handrail: Spawn, database_with_read_models: str
) -> None:
    newer = Codec(HANDRAIL.codec.classes, [NewVersion("OrderPlaced", 2, ())])
    async with a_world(database_with_read_models) as world:
        for stream, event in A_COMPLETED_ORDER:
            await world.append(stream, event, codec=newer)

    code, out, error = await verified(handrail, database_with_read_models, [])

    assert (code, out) == (1, "")
    assert "OrderPlaced v2 is of a newer release" in error
    assert "Traceback" not in error
