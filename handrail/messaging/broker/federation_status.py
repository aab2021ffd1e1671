"""Whether what a virtual host wants comes to it.

A binding that is made downstream reaches the upstream a moment later, and only while the link runs:
until then the events that match it do not come. Whoever must not miss them waits here, or takes
them from the store (`handrail/messaging/consumers/catch_up.py` does).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from handrail.messaging.broker.management_api import Management
from handrail.messaging.broker.topology import DEAD, UNROUTED, Topology, VirtualHost

_LOOK: Final = 0.1


@dataclass(frozen=True)
class Fed:
    """How one virtual host is fed. The counts of messages are a few seconds old."""

    vhost: str
    exchange: str
    link: str
    """`running`, or why not."""
    missing: tuple[str, ...]
    """Binding keys that the upstream does not know yet."""
    waiting: int
    """Messages that were not fetched yet."""
    dead: int
    unrouted: int

    @property
    def complete(self) -> bool:
        return self.link == "running" and not self.missing


async def look(management: Management, topology: Topology) -> Sequence[Fed]:
    """Raises BrokerSaidNo."""
    links = {(one.vhost, one.exchange): one.status for one in await management.links()}
    return [await _look_at(management, host, links) for host in topology.hosts if host.upstreams]


async def _look_at(
    management: Management, host: VirtualHost, links: dict[tuple[str, str], str]
) -> Fed:
    exchange = host.follows
    [upstream] = host.upstreams
    buffer = f":{host.name}:{exchange}"
    known = {
        key
        for destination, key in await management.keys_between(upstream.vhost, exchange)
        if _fetches(destination, buffer)
    }
    wanted = {binding.key for binding in host.bindings if binding.exchange == exchange}
    upstream_queues = await management.queues(upstream.vhost)
    queues = await management.queues(host.name)
    return Fed(
        vhost=host.name,
        exchange=exchange,
        link=links.get((host.name, exchange), "there is none"),
        missing=tuple(sorted(wanted - known)),
        waiting=sum(count for name, count in upstream_queues.items() if _fetches(name, buffer)),
        dead=queues.get(DEAD, 0),
        unrouted=queues.get(UNROUTED, 0),
    )


def _fetches(name: str, buffer: str) -> bool:
    """Whether federation made it, for this downstream. An exchange has a letter at its end."""
    return name.startswith("federation: ") and name.removesuffix(" A").removesuffix(" B").endswith(
        buffer
    )


async def complete(management: Management, topology: Topology, seconds: float) -> Sequence[Fed]:
    """Wait until every event that is wanted would come; answers those where it would not in time.

    Raises BrokerSaidNo.
    """
    deadline = time.monotonic() + seconds
    while lacking := [one for one in await look(management, topology) if not one.complete]:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(_LOOK)
    return lacking
