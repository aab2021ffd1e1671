"""Erasure of a subject, as a business's saga does it: keys first, then the rows about it.

What is sealed needs no visit: it is unreadable once the key is destroyed. What is left are rows
that are about one person, and are deleted: each kind by a statement, all in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Rows about a subject. `statement` deletes those of `:subject`, which is its id."""

    what: str
    statement: str


CONTACT: Final = Removal(
    what="contact", statement="DELETE FROM notification_contacts WHERE customer = :subject"
)
MESSAGES: Final = Removal(
    what="messages", statement="DELETE FROM notifications WHERE customer = :subject"
)
AUDIENCES: Final = Removal(
    what="audiences", statement="DELETE FROM campaign_audience WHERE customer = :subject"
)
OF_THE_LIBRARY: Final = (CONTACT, MESSAGES, AUDIENCES)
"""Contact, messages and campaigns, where recipients are the subjects."""


async def remove(
    engine: AsyncEngine, identity: str, removals: Sequence[Removal] = OF_THE_LIBRARY
) -> Mapping[str, int]:
    """How many rows were deleted of each. To remove twice changes nothing."""
    deleted: dict[str, int] = {}
    async with engine.connect() as connection:
        await connection.execute(text("BEGIN"))
        for one in removals:
            found = await connection.execute(text(one.statement), {"subject": identity})
            deleted[one.what] = found.rowcount
        await connection.execute(text("COMMIT"))
    return deleted
