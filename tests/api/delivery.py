"""What the carrier does for orders that were placed over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from temporalio.client import Client

from domain.identifiers import OrderId
from domain.ordering.commands import CompleteOrder
from tests.controls import NOON
from tests.workflows.asked import does


@dataclass(frozen=True)
class Contexts:
    client: Client
    queue_prefix: str


async def is_delivered(at: Contexts, order: dict[str, Any]) -> None:
    """`order` as `GET /orders/{id}` answers it."""
    name = OrderId(order["order"])
    await does(at, CompleteOrder(order=name, completed_at=NOON))
