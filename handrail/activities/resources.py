"""Resources: what the activities of an app are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from handrail.eventstore.store import EventStore


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the activities of an app are made from.

    `outside` is the session for other companies, `engine` reads the read models. `settings` are
    those of the app's own class.
    """

    store: EventStore
    outside: ClientSession
    engine: AsyncEngine
    client: Client
    settings: Any
