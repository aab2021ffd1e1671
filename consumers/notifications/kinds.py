"""Every kind of message: what it is about, how it is sent, and how it may be silenced.

| | |
|---|---|
| topic | under this the customer turns channels on and off |
| channels | how it is sent to whoever chose nothing; none for campaigns, which need a choice |
| always | channels that cannot be turned off, because the law wants it said |
| urgent | rings in the quiet hours too: it answers what the customer did a moment ago |
| fresh | how old the event may be; later the message would only confuse |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from handrail.notifications.contacts import Channel, Topic

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Kind:
    name: str
    topic: Topic
    channels: frozenset[Channel]
    always: frozenset[Channel] = frozenset()
    urgent: bool = False
    fresh: timedelta = 3 * _DAY


def _registry(*kinds: Kind) -> Mapping[str, Kind]:
    return {kind.name: kind for kind in kinds}


def _by(*channels: Channel) -> frozenset[Channel]:
    return frozenset(channels)


CAMPAIGN: Final = Kind(name="campaign", topic="campaigns", channels=_by())
KINDS: Final = _registry(
    Kind(name="order-confirmed", topic="orders", channels=_by("push", "email"), urgent=True),
    Kind(name="order-rejected", topic="orders", channels=_by("push", "email"), urgent=True),
    Kind(name="order-reviewed", topic="orders", channels=_by("push"), urgent=True, fresh=_DAY),
    Kind(name="instalment-due", topic="payments", channels=_by("push", "email")),
    Kind(name="instalment-collected", topic="payments", channels=_by("email")),
    Kind(
        name="instalment-missed",
        topic="payments",
        channels=_by("push", "sms", "email"),
        always=_by("email"),
        fresh=7 * _DAY,
    ),
    Kind(
        name="late-fee",
        topic="payments",
        channels=_by("push", "email"),
        always=_by("email"),
        fresh=7 * _DAY,
    ),
    Kind(name="plan-settled", topic="payments", channels=_by("email")),
    Kind(
        name="plan-written-off",
        topic="payments",
        channels=_by("email"),
        always=_by("email"),
        fresh=30 * _DAY,
    ),
    Kind(name="shipment-dispatched", topic="deliveries", channels=_by("push"), fresh=_DAY),
    Kind(name="shipment-delivered", topic="deliveries", channels=_by("push"), fresh=_DAY),
    Kind(name="shipment-lost", topic="deliveries", channels=_by("push", "email")),
    Kind(name="return-accepted", topic="returns", channels=_by("push", "email")),
    Kind(name="return-refused", topic="returns", channels=_by("push", "email")),
    Kind(name="refund-paid", topic="returns", channels=_by("push", "email"), fresh=7 * _DAY),
    CAMPAIGN,
)
