"""All consumers. Another one is added here; it is also what the broker's queues are made from."""

from __future__ import annotations

from typing import Final

from consumers import finance, warehouse
from consumers.notifications import handler as notifications
from handrail.messaging.consumers.consumer import Consumer

CONSUMERS: Final[tuple[Consumer, ...]] = (
    finance.CONSUMER,
    warehouse.CONSUMER,
    notifications.CONSUMER,
)


class UnknownConsumer(LookupError):
    """There is no consumer of this name."""


def consumer_named(name: str) -> Consumer:
    """Raises UnknownConsumer, which names those there are."""
    found = {one.name: one for one in CONSUMERS}
    if name not in found:
        raise UnknownConsumer(f"there is no consumer {name}: one of {', '.join(sorted(found))}")
    return found[name]
