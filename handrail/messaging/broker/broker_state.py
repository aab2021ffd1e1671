"""State of the broker as an operator's login sees it: drift, links, and what waits in queues."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from handrail.messaging.broker.dead_message import DeadQueue
from handrail.messaging.broker.dead_messages import DeadMessages
from handrail.messaging.broker.definitions import (
    Access,
    Difference,
    difference,
    found_in,
    objects_of,
)
from handrail.messaging.broker.federation_status import Fed, look
from handrail.messaging.broker.management_api import BrokerSaidNo, Management
from handrail.messaging.broker.topology import DEAD, UNROUTED, Topology

_COMPARED: Final = {"exchange": "exchanges", "queue": "queues", "binding": "bindings"}
"""What is compared, and what RabbitMQ calls many of it. The rest only an administrator sees."""
_ALL_PARTS: Final = ("users", "vhosts", "permissions", "parameters", "policies")
_WITHIN: Final = 5.0
"""Seconds for everything that a look asks of the management API."""


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """`waiting` messages were delivered to no consumer yet, `unacknowledged` were. `oldest` is when
    the oldest came, which is only known of dead and unrouted messages.
    """

    vhost: str
    queue: str
    waiting: int
    unacknowledged: int
    consumers: int
    oldest: datetime | None


@dataclass(frozen=True, kw_only=True)
class BrokerState:
    """`drift` is of exchanges, queues and bindings. The counts are a few seconds old."""

    drift: Difference
    links: Sequence[Fed]
    queues: Sequence[QueueState]


async def broker_state(dead: DeadMessages) -> BrokerState:
    """Raises BrokerSaidNo."""
    try:
        async with asyncio.timeout(_WITHIN), dead.management() as management:
            parts = await _parts(management, dead.topology)
            links = await look(management, dead.topology)
    except TimeoutError:
        raise BrokerSaidNo(f"the broker did not answer within {_WITHIN:.0f} s") from None
    queues = [one for one in parts["queues"] if not one["name"].startswith("federation: ")]
    return BrokerState(
        drift=_drift(dead.topology, parts),
        links=links,
        queues=await asyncio.gather(*(_state(dead, one) for one in queues)),
    )


async def _parts(management: Management, topology: Topology) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {part: [] for part in (*_COMPARED.values(), *_ALL_PARTS)}
    for part in _COMPARED.values():
        for host in topology.hosts:
            found[part] += await management.listed(part, host.name)
    return found


def _drift(topology: Topology, parts: dict[str, list[Any]]) -> Difference:
    """Without passwords: nothing that has them is compared."""
    access = Access(dict.fromkeys(topology.users, ""), "amqp://", ("", ""))
    declared = {
        key: one for key, one in objects_of(topology, access).items() if key.kind in _COMPARED
    }
    return difference(declared, found_in(parts, [one.name for one in topology.hosts]))


async def _state(dead: DeadMessages, queue: dict[str, Any]) -> QueueState:
    name, vhost = queue["name"], queue["vhost"]
    waiting = int(queue.get("messages_ready", queue.get("messages", 0)))
    return QueueState(
        vhost=vhost,
        queue=name,
        waiting=waiting,
        unacknowledged=int(queue.get("messages_unacknowledged", 0)),
        consumers=int(queue.get("consumers", 0)),
        oldest=await _oldest(dead, vhost, name) if waiting and name in {DEAD, UNROUTED} else None,
    )


async def _oldest(dead: DeadMessages, vhost: str, queue: DeadQueue) -> datetime | None:
    found = await dead.look(vhost, queue, limit=1_000)
    return min((one.since for one in found.messages if one.since), default=None)
