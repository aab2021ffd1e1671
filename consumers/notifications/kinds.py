"""Every kind of message that customers get, and the topics under which they silence them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal, get_args

from handrail.notifications.contacts import Channel
from handrail.notifications.kinds import Kind

Topic = Literal["orders", "payments", "deliveries", "returns", "campaigns"]
TOPICS: Final[tuple[Topic, ...]] = get_args(Topic)
_DAY: Final = timedelta(days=1)


def _registry(*kinds: Kind) -> Mapping[str, Kind]:
    return {kind.name: kind for kind in kinds}


def _by(*channels: Channel) -> frozenset[Channel]:
    return frozenset(channels)


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
)
