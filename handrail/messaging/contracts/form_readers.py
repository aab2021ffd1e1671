"""Which queues read which form of an event, now and before: the table `form_readers`.

A queue reads the newest form of an event that it is bound to. The relay notes that of all events
that have several forms, about once a minute.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from handrail.eventstore.pool import Connection
from handrail.evolution.forms import Form
from handrail.evolution.lineages import Lineages
from handrail.messaging.broker.form_bindings import Reader, bound
from handrail.messaging.relay.routing import Routing

KEPT: Final = timedelta(days=730)
"""How long it is known of a queue that it was bound to a form."""
_SEEN_AGAIN: Final = timedelta(minutes=1)
_MOST: Final = 10_000
"""Rows that are noted at once; of more readers the rest is not."""

_LOOK: Final = (Form("", 0), "")
"""The row that says when the relay looked."""

_NOTE: Final = """
WITH gone AS (
    DELETE FROM form_readers WHERE last_seen < clock_timestamp() - %(kept)s
)
INSERT INTO form_readers AS known (type, schema, reader)
SELECT * FROM unnest(%(types)s::text[], %(schemas)s::smallint[], %(readers)s::text[])
ON CONFLICT (type, schema, reader) DO UPDATE SET last_seen = excluded.last_seen
WHERE known.last_seen < excluded.last_seen - %(again)s
"""


@dataclass(frozen=True)
class FormReader:
    """A queue that reads a form, since when that is known, and when it was seen last."""

    form: Form
    reader: str
    first_seen: datetime
    last_seen: datetime


def forms_read(
    readers: Iterable[Reader], lineages: Lineages, routing: Routing
) -> Collection[tuple[Form, str]]:
    """The form that each queue reads, of every event that has several."""
    histories = [lineages.forms(name) for name in sorted(lineages.names)]
    keys = {
        form: routing.routing_key(form.name, form.version)
        for forms in histories
        if len(forms) > 1
        for form in forms
        if form.name in routing.contexts
    }
    found: dict[tuple[Form, str], None] = {}
    for reader in readers:
        for forms in histories:
            for form in reversed(forms):
                if form in keys and bound(reader.keys, keys[form]):
                    found[form, reader.name] = None
                    break
    return found.keys()


async def note(connection: Connection, read: Collection[tuple[Form, str]]) -> None:
    """That these queues read these forms now, and that it was looked; what is older than `KEPT`
    goes.
    """
    noted = [_LOOK, *list(read)[:_MOST]]
    await connection.execute(
        _NOTE,
        {
            "types": [form.name for form, _ in noted],
            "schemas": [form.version for form, _ in noted],
            "readers": [reader for _, reader in noted],
            "kept": KEPT,
            "again": _SEEN_AGAIN,
        },
    )


@dataclass(frozen=True)
class Noted:
    """What the relay has noted: of each form, the queues that were seen last first."""

    looked_at: datetime | None
    """About when it looked last."""
    readers: Mapping[Form, Sequence[FormReader]]

    def then(self, form: Form) -> Sequence[str]:
        """The queues that read the form when the relay looked last."""
        if self.looked_at is None:
            return []
        since = self.looked_at - 2 * _SEEN_AGAIN
        return [one.reader for one in self.readers[form] if one.last_seen >= since]


async def known(connection: Connection, forms: Sequence[Form]) -> Noted:
    """What is noted of these forms."""
    cursor = await connection.execute(
        "SELECT type, schema, reader, first_seen, last_seen FROM form_readers"
        " WHERE type = ANY (%s) ORDER BY last_seen DESC, reader LIMIT %s",
        ([_LOOK[0].name, *(form.name for form in forms)], _MOST),
    )
    looked_at = None
    found: dict[Form, list[FormReader]] = {form: [] for form in forms}
    for type_, schema, reader, first_seen, last_seen in await cursor.fetchall():
        form = Form(type_, schema)
        if (form, reader) == _LOOK:
            looked_at = last_seen
        elif form in found:
            found[form].append(FormReader(form, reader, first_seen, last_seen))
    return Noted(looked_at, found)
