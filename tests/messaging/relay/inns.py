"""Two releases of a small business at one broker, with a consumer each that notes what it gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from psycopg.types.json import Jsonb

from handrail.eventstore.pool import Connection
from handrail.kernel import Event
from handrail.messaging.broker.plan import BrokerPlan
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.envelope import Received
from tests.evolution import new_release, old_release

HOME, DESK = "inn", "desk"
PLAN: Final = BrokerPlan(home=HOME, services={DESK: "events"})
NOTES: Final = (
    "CREATE TABLE IF NOT EXISTS notes (number bigserial PRIMARY KEY, consumer text, id text,"
    " stream text, version bigint, schema int, event text, fields jsonb)"
)


def noting(name: str, wants: Sequence[type[Event]]) -> Consumer:
    """It reads the event, and notes it: what it does not know, it could not note."""

    async def handle(connection: Connection, received: Received) -> None:
        event = received.event
        await connection.execute(
            "INSERT INTO notes (consumer, id, stream, version, schema, event, fields)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                name,
                received.id,
                received.stream,
                received.version,
                received.schema,
                type(event).__name__,
                Jsonb(vars(event)),
            ),
        )

    return Consumer(name=name, vhost=DESK, queue=name, wants=tuple(wants), handle=handle)


OLD_INN: Final = replace(
    old_release.OLD,
    broker=PLAN,
    consumers=[
        noting("porter", (old_release.RoomBooked, old_release.KeyHandedOver, old_release.GuestLeft))
    ],
)
NEW_INN: Final = replace(
    new_release.NEW,
    broker=PLAN,
    consumers=[
        noting("clerk", (new_release.RoomBooked, new_release.KeyGiven, new_release.GuestLeft))
    ],
)
