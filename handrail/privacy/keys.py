"""Keys of subjects: the port behind which they are kept, and a cache that expires.

The default is a table (`handrail/subject_keys/key_table.py`). A key management service is another
class with the same three methods: it makes a data key for a subject, unwraps data keys by their
ids, and destroys them.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

T = TypeVar("T")

CACHED_SUBJECTS: Final = 10_000


@dataclass(frozen=True)
class SubjectKey:
    """A data key. `id` is 32 hexadecimal digits, and stands in every text sealed under it."""

    id: str
    secret: bytes = field(repr=False)

    @cached_property
    def aead(self) -> AESGCM:
        """Made once, and gone with the key."""
        # Processes that neither seal nor open do without the package.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        return AESGCM(self.secret)


@dataclass(frozen=True)
class Destroyed:
    """Key ids of a subject that were destroyed now, and those that had been before."""

    now: tuple[str, ...]
    before: tuple[str, ...]


class SubjectKeys(Protocol):
    """Where the keys of subjects are."""

    async def of_subjects(self, subjects: Collection[str]) -> Mapping[str, SubjectKey]:
        """The key that each subject's texts are sealed under now; made where there is none."""
        ...

    async def by_ids(self, ids: Collection[str]) -> Mapping[str, SubjectKey]:
        """Without those that were destroyed, or never were."""
        ...

    async def destroy(self, subject: str, by: str) -> Destroyed:
        """Destroy every key of the subject. To destroy them twice changes nothing."""
        ...


class CachedKeys:
    """Keys in memory for at most `seconds`, at most so many of them.

    So an erasure is honoured by every process after that time at the latest, and appending asks
    for no key while it is warm.
    """

    def __init__(self, keys: SubjectKeys, *, seconds: float, most: int = CACHED_SUBJECTS) -> None:
        self._keys = keys
        self._seconds = seconds
        self._most = most
        self._by_subject: OrderedDict[str, tuple[float, SubjectKey]] = OrderedDict()
        self._by_id: OrderedDict[str, tuple[float, SubjectKey | None]] = OrderedDict()

    async def of_subjects(self, subjects: Collection[str]) -> Mapping[str, SubjectKey]:
        now = time.monotonic()
        found = {
            one: kept[1]
            for one in subjects
            if (kept := self._by_subject.get(one)) is not None and kept[0] > now
        }
        if missing := set(subjects) - found.keys():
            for subject, key in (await self._keys.of_subjects(missing)).items():
                found[subject] = key
                self._keep(self._by_subject, subject, now, key)
                self._keep(self._by_id, key.id, now, key)
        return found

    async def by_ids(self, ids: Collection[str]) -> Mapping[str, SubjectKey]:
        now = time.monotonic()
        kept = {
            one: held[1]
            for one in ids
            if (held := self._by_id.get(one)) is not None and held[0] > now
        }
        if missing := set(ids) - kept.keys():
            loaded = await self._keys.by_ids(missing)
            for one in missing:
                kept[one] = loaded.get(one)
                self._keep(self._by_id, one, now, kept[one])
        return {one: key for one, key in kept.items() if key is not None}

    async def destroy(self, subject: str, by: str) -> Destroyed:
        destroyed = await self._keys.destroy(subject, by)
        self._by_subject.pop(subject, None)
        for one in (*destroyed.now, *destroyed.before):
            self._by_id.pop(one, None)
        return destroyed

    def _keep(
        self,
        cache: OrderedDict[str, tuple[float, T]],
        name: str,
        now: float,
        key: T,
    ) -> None:
        cache[name] = (now + self._seconds, key)
        cache.move_to_end(name)
        if len(cache) > self._most:
            cache.popitem(last=False)
