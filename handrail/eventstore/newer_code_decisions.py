"""Rows of `newer_code_decisions`: events of newer code that operators had parked, and not wait.

A decision is about a form, the type of an event in one version, at one subscriber. The newest
stands, and the rows before it say what was decided when, by whom and why.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from handrail.eventstore.pool import Connection
from handrail.kernel import Attribution

Form = tuple[str, int]
"""The type of an event, and its version."""

IS_PARKED: Final = (
    "coalesce((SELECT d.parks FROM newer_code_decisions d WHERE d.subscriber = w.subscriber"
    " AND d.type = w.type AND d.schema = w.schema ORDER BY d.decided_at DESC LIMIT 1), false)"
)
"""SQL: whether the form of `w`, a row with `subscriber`, `type` and `schema`, is to be parked."""


@dataclass(frozen=True)
class Decision:
    subscriber: str
    type: str
    schema: int
    parks: bool
    actor: str
    reason: str
    decided_at: datetime


async def parked_forms(
    connection: Connection, subscribers: Collection[str], forms: Collection[Form]
) -> set[tuple[str, str, int]]:
    """Which of these forms each of the subscribers is to park: subscriber, type and version."""
    cursor = await connection.execute(
        f"SELECT w.subscriber, w.type, w.schema FROM (SELECT * FROM unnest(%s::text[]) AS s"
        " (subscriber) CROSS JOIN unnest(%s::text[], %s::smallint[]) AS f (type, schema)) AS w"
        f" WHERE {IS_PARKED}",
        (list(subscribers), [type_ for type_, _ in forms], [schema for _, schema in forms]),
    )
    return set(await cursor.fetchall())


async def decide(
    connection: Connection,
    subscribers: Collection[str],
    form: Form,
    by: Attribution,
    *,
    parks: bool,
) -> None:
    """From now on events of the form are parked at these subscribers, or wait for newer code.

    It is later than the decision before it, also where the database's clock was put back.
    """
    await connection.execute(
        "INSERT INTO newer_code_decisions (subscriber, type, schema, parks, actor, reason,"
        " decided_at) SELECT s, %(type)s, %(schema)s, %(parks)s, %(actor)s, %(reason)s,"
        " greatest(clock_timestamp(), (SELECT max(d.decided_at) + interval '1 microsecond'"
        "  FROM newer_code_decisions d WHERE d.subscriber = s AND d.type = %(type)s"
        "  AND d.schema = %(schema)s)) FROM unnest(%(subscribers)s::text[]) AS s",
        {
            "type": form[0],
            "schema": form[1],
            "parks": parks,
            "actor": by.actor,
            "reason": by.reason,
            "subscribers": sorted(subscribers),
        },
    )


async def decisions(connection: Connection, subscribers: Collection[str]) -> Sequence[Decision]:
    """Those that stand, by subscriber and form."""
    cursor = await connection.execute(
        "SELECT DISTINCT ON (subscriber, type, schema) subscriber, type, schema, parks, actor,"
        " reason, decided_at FROM newer_code_decisions WHERE subscriber = ANY (%s)"
        " ORDER BY subscriber, type, schema, decided_at DESC",
        (sorted(subscribers),),
    )
    return [Decision(*row) for row in await cursor.fetchall()]
