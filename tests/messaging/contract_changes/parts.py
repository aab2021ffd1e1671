"""Consumers, read models and views of which only matters what they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, MetaData, Table, Text

from handrail.eventstore.pool import Connection
from handrail.kernel import Event
from handrail.lake.plan import LakePlan
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.envelope import Received
from handrail.projections.projection import Projection


@dataclass(frozen=True, kw_only=True)
class Row:
    id: str


def consumer(name: str, *wants: type[Event]) -> Consumer:
    async def handle(connection: Connection, received: Received) -> None:
        pass

    return Consumer(name=name, vhost="library", queue=name, wants=wants, handle=handle)


def read_model(name: str, *handles: type[Event]) -> Projection[Any]:
    return Projection(
        name=name,
        version=1,
        row=Row,
        table=Table(name, MetaData(), Column("id", Text, primary_key=True)),
        categories=("book",),
        handles=handles,
        evolve=lambda row, happened: row or Row(id=happened.id),
    )


def lake(**views: str) -> Callable[[], LakePlan]:
    return lambda: LakePlan(views=views)
