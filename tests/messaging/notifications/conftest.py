from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast
from uuid import uuid4

import psycopg
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from handrail.dev.postgres import EmbeddedPostgres
from handrail.simulators.in_process import served
from runtime.simulators.provider import create_provider
from tests.emptying import empty
from tests.messaging.notifications.world import World, a_world


@pytest.fixture(scope="package")
async def shared_database(postgres: EmbeddedPostgres, database_template: str) -> AsyncIterator[str]:
    """One for all these tests, since emptying a database is faster than making one."""
    name = f"notifications_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as admin:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {database_template}".encode())
        yield postgres.url_of(name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


class Renewed:
    """A provider on one port for all these tests, and without a memory for each."""

    def __init__(self) -> None:
        self._first = self._now = create_provider(None)

    def renew(self) -> None:
        self._now = create_provider(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._first if scope["type"] == "lifespan" else self._now
        await app(scope, receive, send)


@pytest.fixture(scope="package")
async def provider() -> AsyncIterator[tuple[Renewed, str]]:
    renewed = Renewed()
    async with served(cast("FastAPI", renewed)) as url:
        yield renewed, url


@pytest.fixture
async def world(shared_database: str, provider: tuple[Renewed, str]) -> AsyncIterator[World]:
    """An empty one."""
    renewed, provider_url = provider
    renewed.renew()
    async with await psycopg.AsyncConnection.connect(shared_database, autocommit=True) as owner:
        await empty(owner)
    async with a_world(shared_database, provider_url) as one:
        yield one
