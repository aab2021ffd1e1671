"""Keys of subjects for tests: in memory, or in a database."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from handrail.eventstore.pool import open_pool
from handrail.privacy.keys import CachedKeys, Destroyed, SubjectKey
from handrail.privacy.texts import PersonalTexts
from handrail.subject_keys.key_file import Wrapping
from handrail.subject_keys.key_table import TableKeys

ROLE = "handrail_app"


class MemoryKeys:
    """The port, as another implementation of it; `asked` counts what it was asked for."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, SubjectKey]] = {}
        self.asked = 0

    async def of_subjects(self, subjects: Collection[str]) -> Mapping[str, SubjectKey]:
        self.asked += 1
        now = dict(self._keys.values())
        for one in set(subjects) - now.keys():
            key = SubjectKey(secrets.token_hex(16), os.urandom(32))
            self._keys[key.id], now[one] = (one, key), key
        return {one: now[one] for one in subjects}

    async def by_ids(self, ids: Collection[str]) -> Mapping[str, SubjectKey]:
        self.asked += 1
        return {one: self._keys[one][1] for one in ids if one in self._keys}

    async def destroy(self, subject: str, by: str) -> Destroyed:
        del by
        gone = tuple(id_ for id_, (whose, _) in self._keys.items() if whose == subject)
        for one in gone:
            del self._keys[one]
        return Destroyed(gone, ())


def a_wrapping(name: str = "k1") -> Wrapping:
    return Wrapping(name, {name: os.urandom(32)})


def a_line(name: str) -> str:
    return f"{name} {base64.b64encode(os.urandom(32)).decode()}\n"


def in_memory() -> PersonalTexts:
    return PersonalTexts(MemoryKeys())


@asynccontextmanager
async def in_database(url: str, *, seconds: float = 60) -> AsyncIterator[PersonalTexts]:
    async with open_pool(url, role=ROLE, size=2, name="keys of a test") as pool:
        yield PersonalTexts(CachedKeys(TableKeys(pool, a_wrapping()), seconds=seconds))
