"""Verifies API keys: looked up in the database, and remembered for a few seconds."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.access import key_records
from handrail.access.authentication import NotSignedIn
from handrail.access.key_records import KeyRecord
from handrail.access.principal import Principal
from handrail.access.roles import Access
from handrail.access.secrets import KeyText

Connect = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
_REMEMBERED: Final = 10_000
_LOOK_UPS: Final = 4
"""Connections that looking up keys takes at most: invented keys must not take those of others."""
_NO_HASH: Final = bytes(32)
_MINUTE: Final = 60.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Found:
    record: KeyRecord | None
    principal: Principal | None
    read_at: float


class ApiKeys:
    """Makes principals of API keys.

    A key is remembered for `seconds`; so long a revoked one may go on working in this process. When
    keys were used is written by `run`, once a minute and beside the requests.
    """

    def __init__(
        self,
        connect: Connect,
        access: Access,
        *,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect, self._access = connect, access
        self._seconds, self._clock = seconds, clock
        self._remembered = OrderedDict[str, _Found]()
        self._look_ups = asyncio.Semaphore(_LOOK_UPS)
        self._used = dict[str, None]()

    async def principal(self, text: str) -> Principal:
        """Raises NotSignedIn, and what the database raises where it cannot be asked."""
        key = KeyText.read(text)
        if key is None:
            raise NotSignedIn("it does not look like an API key")
        found = self._fresh(key.id) or await self._look_up(key.id)
        kept = found.record.secret_hash if found.record else _NO_HASH
        right = hmac.compare_digest(key.hash, kept)
        if not right or found.record is None or found.principal is None:
            raise NotSignedIn("the API key is not known")
        if (state := found.record.state(datetime.now(UTC))) != "valid":
            raise NotSignedIn(f"the API key {'has' if state == 'expired' else 'was'} {state}")
        self._used[key.id] = None
        return found.principal

    async def run(self, stop: asyncio.Event) -> None:
        """Write when keys were used last, until `stop` is set, and once more then."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _MINUTE)
            await self.write_used()

    async def write_used(self) -> None:
        """Write when the keys that were used since were used last."""
        ids, self._used = list(self._used), {}
        if not ids:
            return
        try:
            async with self._connect() as connection:
                await key_records.used(connection, ids, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001  # nothing waits for it: it is tried again
            self._used = dict.fromkeys(ids) | self._used
            _log.warning("when keys were used is not written", error=str(error)[:200])

    def _fresh(self, id_: str) -> _Found | None:
        found = self._remembered.get(id_)
        return found if found and self._clock() - found.read_at < self._seconds else None

    async def _look_up(self, id_: str) -> _Found:
        async with self._look_ups:
            if found := self._fresh(id_):
                return found
            read_at = self._clock()
            async with self._connect() as connection:
                record = await key_records.find(connection, id_)
        found = _Found(record, self._principal(record) if record else None, read_at)
        self._remembered[id_] = found
        self._remembered.move_to_end(id_)
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    def _principal(self, record: KeyRecord) -> Principal:
        return Principal(
            kind=record.kind,
            subject=record.name,
            scopes=self._access.granted(record.roles, record.scopes),
            tenant=record.tenant,
            party=record.party,
        )
