"""Keys of subjects: made once, wrapped, cached for a bounded time, and destroyed for good."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.pool import Pool, open_pool
from handrail.privacy.keys import CachedKeys
from handrail.subject_keys.key_file import BadKeyFile, CannotUnwrap, Wrapping, make, read
from handrail.subject_keys.key_schema import migrate_keys
from handrail.subject_keys.key_table import TableKeys
from tests.privacy.keyed import ROLE, MemoryKeys, a_line, a_wrapping


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with open_pool(database, role=ROLE, size=4) as one:
        yield one


async def test_a_subject_has_the_same_key_in_every_process(pool: Pool) -> None:
    wrapping = a_wrapping()
    ours, theirs = TableKeys(pool, wrapping), TableKeys(pool, wrapping)
    first = await ours.of_subjects(["guest:ann", "guest:bob"])
    assert await theirs.of_subjects(["guest:bob", "guest:ann"]) == first
    ids = {key.id: key for key in first.values()}
    assert await theirs.by_ids(list(ids)) == ids


async def test_processes_that_come_at_once_make_one_key(pool: Pool) -> None:
    keys = TableKeys(pool, a_wrapping())
    found = await asyncio.gather(*(keys.of_subjects(["guest:ann"]) for _ in range(20)))
    assert len({one["guest:ann"].id for one in found}) == 1


async def test_a_destroyed_key_leaves_its_proof_and_no_key(pool: Pool, database: str) -> None:
    keys = TableKeys(pool, a_wrapping())
    [key] = (await keys.of_subjects(["guest:ann"])).values()
    destroyed = await keys.destroy("guest:ann", "dpo@hotel")
    async with await psycopg.AsyncConnection.connect(database) as owner:
        cursor = await owner.execute(
            "SELECT key_id, subject, wrapped, destroyed_by, destroyed_at IS NOT NULL"
            " FROM subject_keys"
        )
        assert await cursor.fetchall() == [(key.id, "guest:ann", None, "dpo@hotel", True)]
    assert (destroyed.now, destroyed.before) == ((key.id,), ())
    assert await keys.by_ids([key.id]) == {}


async def test_to_destroy_twice_changes_nothing(pool: Pool) -> None:
    keys = TableKeys(pool, a_wrapping())
    [key] = (await keys.of_subjects(["guest:ann"])).values()
    await keys.destroy("guest:ann", "dpo")
    again = await keys.destroy("guest:ann", "somebody else")
    assert (again.now, again.before) == ((), (key.id,))


async def test_a_subject_that_comes_back_gets_another_key(pool: Pool) -> None:
    keys = TableKeys(pool, a_wrapping())
    [first] = (await keys.of_subjects(["guest:ann"])).values()
    await keys.destroy("guest:ann", "dpo")
    [second] = (await keys.of_subjects(["guest:ann"])).values()
    assert second.id != first.id


async def test_the_table_holds_no_key_in_clear(pool: Pool, database: str) -> None:
    [key] = (await TableKeys(pool, a_wrapping()).of_subjects(["guest:ann"])).values()
    async with await psycopg.AsyncConnection.connect(database) as owner:
        cursor = await owner.execute("SELECT wrapped FROM subject_keys")
        [(wrapped,)] = await cursor.fetchall()
    assert key.secret not in wrapped


async def test_a_wrapped_key_is_of_its_row_only(pool: Pool, database: str) -> None:
    keys = TableKeys(pool, a_wrapping())
    await keys.of_subjects(["guest:ann", "guest:bob"])
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:
        await owner.execute(
            "UPDATE subject_keys SET wrapped = (SELECT wrapped FROM subject_keys"
            " WHERE subject = 'guest:bob') WHERE subject = 'guest:ann'"
        )
    with pytest.raises(CannotUnwrap):
        await keys.of_subjects(["guest:ann"])


async def test_an_older_line_of_the_key_file_unwraps_what_it_wrapped(pool: Pool) -> None:
    old = a_wrapping("k1")
    [key] = (await TableKeys(pool, old).of_subjects(["guest:ann"])).values()
    rotated = Wrapping("k2", {**a_wrapping("k2").keys, **old.keys})
    assert (await TableKeys(pool, rotated).of_subjects(["guest:ann"]))["guest:ann"] == key
    with pytest.raises(CannotUnwrap, match="Its id is k1"):
        await TableKeys(pool, a_wrapping("k2")).of_subjects(["guest:ann"])


async def test_keys_may_have_a_database_of_their_own(postgres: EmbeddedPostgres) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as owner:
        await owner.execute("CREATE DATABASE keys_of_their_own")
    empty_database = postgres.url_of("keys_of_their_own")
    migrate_keys(empty_database, ROLE)
    migrate_keys(empty_database, ROLE)
    async with open_pool(empty_database, role=ROLE, size=1) as pool:
        keys = TableKeys(pool, a_wrapping())
        assert await keys.of_subjects(["guest:ann"])


async def test_a_cached_key_is_asked_for_once() -> None:
    kept = MemoryKeys()
    keys = CachedKeys(kept, seconds=60)
    first = await keys.of_subjects(["guest:ann"])
    assert await keys.of_subjects(["guest:ann"]) == first
    assert await keys.by_ids([first["guest:ann"].id])
    assert kept.asked == 1


async def test_an_erasure_elsewhere_is_honoured_once_the_cache_has_expired() -> None:
    kept = MemoryKeys()
    keys = CachedKeys(kept, seconds=0)
    [key] = (await keys.of_subjects(["guest:ann"])).values()
    await kept.destroy("guest:ann", "dpo")
    assert await keys.by_ids([key.id]) == {}


async def test_an_erasure_here_is_honoured_at_once() -> None:
    keys = CachedKeys(MemoryKeys(), seconds=3600)
    [key] = (await keys.of_subjects(["guest:ann"])).values()
    await keys.destroy("guest:ann", "dpo")
    assert await keys.by_ids([key.id]) == {}


async def test_a_cache_holds_no_more_than_it_may() -> None:
    kept = MemoryKeys()
    keys = CachedKeys(kept, seconds=3600, most=2)
    for name in ("ann", "bob", "eve", "ann"):
        await keys.of_subjects([f"guest:{name}"])
    assert kept.asked == 4


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "var" / "subject-keys"
    make(file)
    first = read(file)
    make(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read(file) == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no key"),
        ("k1\n", "line 1"),
        ("k1 c2hvcnQ=\n", "line 1: needs an id of its own and 32 bytes"),
        (a_line("k1") + a_line("k1"), "line 2"),
    ],
    ids=["empty", "no key", "too short", "twice"],
)
def test_a_key_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "subject-keys"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(BadKeyFile, match=re.escape(said)):
        read(file)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "subject-keys"
    make(file)
    file.chmod(0o644)
    with pytest.raises(BadKeyFile, match="chmod 600"):
        read(file)
