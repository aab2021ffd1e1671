"""What is read here is on the disk before anybody outside is told of it.

Others see a commit at once that does not wait for the disk (`synchronous_commit = off`, which any
session may set for itself), and a server that crashes forgets it. Its number, its position and its
version are then given out again, in the same epoch: whoever outside had been told of it would take
the next event for the one it knows.

What is written here is written behind it: a commit of ours, which waits for the disk, flushes all
that came before. The lake's batch is cut, and a message to a recipient is taken, in such a commit,
before anything leaves. Whoever acts on what it reads, with no commit before, asks this first.
"""

from __future__ import annotations

from typing import Final

FLUSHED: Final = (
    "SELECT CASE WHEN pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()"
    " THEN pg_logical_emit_message(false, 'handrail', '', true) END"
)
"""SQL, a query of one row: once it has answered, all that earlier statements of this connection
have seen stays, whatever becomes of the server. Where everything is flushed, it writes nothing.
"""
