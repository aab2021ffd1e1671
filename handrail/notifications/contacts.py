"""How a recipient is reached, and when: plain values, decided without clock or database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

Channel = Literal["push", "sms", "email"]
Language = Literal["en", "de"]
Topic = str
"""What messages are about; `campaigns` is always there, the others are those of the kinds."""
CHANNELS: Final[tuple[Channel, ...]] = ("push", "sms", "email")
LANGUAGES: Final[tuple[Language, ...]] = ("en", "de")
RINGS: Final[frozenset[Channel]] = frozenset(("push", "sms"))
"""The channels that wake people: an e-mail lies there until they look."""


@dataclass(frozen=True)
class QuietHours:
    """From one local time until another, which may be on the next day. They differ."""

    begin: time
    end: time

    def holds(self, at: time) -> bool:
        if self.begin < self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end


@dataclass(frozen=True, kw_only=True)
class Contact:
    """`addresses` has no entry for a channel without an address. `choices` says by topic which
    channels were turned on or off; a channel that is not there is as the kind of message has it.
    """

    language: Language = "en"
    time_zone: str = "UTC"
    quiet_hours: QuietHours | None = None
    addresses: Mapping[Channel, str] = field(default_factory=dict)
    choices: Mapping[Topic, Mapping[Channel, bool]] = field(default_factory=dict)

    def chose(self, topic: Topic, channel: Channel) -> bool | None:
        return self.choices.get(topic, {}).get(channel)

    def local(self, at: datetime) -> datetime:
        return at.astimezone(ZoneInfo(self.time_zone))

    def is_quiet(self, at: datetime) -> bool:
        return self.quiet_hours is not None and self.quiet_hours.holds(self.local(at).time())

    def awake_from(self, at: datetime) -> datetime:
        """The first moment from `at` on that is not in the quiet hours, in UTC.

        Where clocks are put forward over the end of the quiet hours it is the end by the old clock:
        up to an hour late, never early.
        """
        if self.quiet_hours is None or not self.is_quiet(at):
            return at.astimezone(UTC)
        local = self.local(at)
        end = self.quiet_hours.end
        morning = local.replace(
            hour=end.hour, minute=end.minute, second=end.second, microsecond=end.microsecond
        )
        # Of an hour that the clocks go through twice, it is in the same half as `at`.
        if morning.astimezone(UTC) <= at:
            morning += timedelta(days=1)
        return morning.astimezone(UTC)


NOBODY: Final = Contact()
"""Of a recipient without a contact."""
