"""A contact as a row of `notification_contacts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from handrail.notifications.contacts import CHANNELS, NOBODY, Contact, QuietHours

COLUMNS: Final = (
    "c.language, c.time_zone, c.quiet_from, c.quiet_until, c.push, c.sms, c.email, c.choices"
)
"""Of `notification_contacts AS c`, in the order that `contact_of` takes them."""


def contact_of(row: Sequence[Any]) -> Contact:
    """NOBODY where the columns are those of an outer join that found no row."""
    language, time_zone, quiet_from, quiet_until, *addresses, choices = row
    if language is None:
        return NOBODY
    return Contact(
        language=language,
        time_zone=time_zone,
        quiet_hours=None if quiet_from is None else QuietHours(quiet_from, quiet_until),
        addresses={
            channel: address
            for channel, address in zip(CHANNELS, addresses, strict=True)
            if address is not None
        },
        choices=choices,
    )
