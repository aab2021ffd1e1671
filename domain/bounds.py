"""Bounds of the shop's own values, beside those that every business has (`handrail/bounds.py`)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from handrail.bounds import ID, Integer, Many, Never, Text

INSTALMENTS: Final = Integer(least=1, most=24, unit="months")
INSTALMENT_NUMBER: Final = Integer(least=1, most=INSTALMENTS.most, unit="the instalment's number")
REMINDER: Final = Integer(least=1, most=1_000, unit="reminders")
KEYS: Final = Many(fewest=0, most=10_000)
ROWS: Final = Integer(least=0, most=1_000_000_000, unit="rows")
PARCELS: Final = Integer(least=1, most=10_000, unit="parcels")

CARD_NUMBER: Final = Never(
    pattern="[0-9]{12,19}",
    what="the number of a card",
    instead="send the vault's reference of the card, never its number",
)
REFERENCE: Final = Text(
    shortest=1, longest=64, pattern=ID.pattern, says="letters, digits and _ . -", never=CARD_NUMBER
)
"""Where another company keeps a card or a document."""

LATEST_DUE: Final = timedelta(days=3 * 365)
"""How far ahead an instalment may be due: the longest plan runs for two years."""


def wrong_due_date(due: date, today: date) -> str | None:
    """Why an instalment cannot be due on that day; None where it can."""
    if due < today:
        return f"{due} is in the past"
    if due > today + LATEST_DUE:
        return f"{due} is more than {LATEST_DUE.days} days away"
    return None
