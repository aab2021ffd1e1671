"""Whether a message may be sent on a channel, and when. Asked when it is written, and again when it
is sent: the recipient may have changed their mind, and a late try may fall into the night.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from handrail.notifications.contacts import RINGS, Channel, Contact
from handrail.notifications.kinds import Kind


@dataclass(frozen=True)
class SendFrom:
    at: datetime


@dataclass(frozen=True)
class Withhold:
    reason: str


Decision = SendFrom | Withhold


def uses(kind: Kind, channel: Channel, contact: Contact) -> bool:
    """Whether a message of this kind is written for the channel at all, be it to be withheld."""
    return channel in kind.channels or contact.chose(kind.topic, channel) is True


def decide(
    kind: Kind, channel: Channel, contact: Contact, now: datetime, expires_at: datetime | None
) -> Decision:
    chose = contact.chose(kind.topic, channel)
    wanted = channel in kind.channels if chose is None else chose
    if not wanted and channel not in kind.always:
        return Withhold("turned off")
    if channel not in contact.addresses:
        return Withhold("no address")
    at = contact.awake_from(now) if channel in RINGS and not kind.urgent else now
    if expires_at is not None and at >= expires_at:
        return Withhold("too late")
    return SendFrom(at)
