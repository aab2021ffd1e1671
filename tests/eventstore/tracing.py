"""What the driver says to PostgreSQL, read off the wire."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import pq

from handrail.eventstore.pool import Connection


@dataclass
class Traced:
    """The messages by their names; a round trip ends when the server is ready for the next."""

    sent: list[str] = field(default_factory=list)
    round_trips: int = 0


@contextmanager
def traced(connection: Connection) -> Iterator[Traced]:
    """Filled in at the end."""
    found = Traced()
    with tempfile.TemporaryFile("w+") as wire:
        connection.pgconn.trace(wire.fileno())
        connection.pgconn.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
        try:
            yield found
        finally:
            connection.pgconn.untrace()
        wire.seek(0)
        for line in wire:
            if line.startswith("F"):
                found.sent.append(line.split("\t")[2].strip())
            found.round_trips += "ReadyForQuery" in line
