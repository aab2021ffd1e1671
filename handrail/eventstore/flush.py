"""What is read here is on the disk before anybody outside is told of it.

Others see a commit at once that does not wait for the disk (`synchronous_commit = off`, which any
session may set for itself), and a server that crashes forgets it. Its number, its position and its
version are then given out again, in the same epoch: whoever outside had been told of it would take
the next event for the one it knows.

Where standbys confirm commits (`synchronous_standby_names`), the same goes for them: a commit that
waits for none of them (`local`, or one whose wait was cancelled) is seen at once, and the standby
that is promoted may lack it. So it is waited for them, as all commits of ours do.

What is written here is written behind it: a commit of ours, which waits for the disk, flushes all
that came before. The lake's batch is cut, and a message to a recipient is taken, in such a commit,
before anything leaves. Whoever acts on what it reads, with no commit before, asks this first.
"""

from __future__ import annotations

from typing import Final

FLUSHED: Final = (
    "SELECT CASE WHEN current_setting('synchronous_standby_names') <> ''"
    " AND current_setting('synchronous_commit') NOT IN ('local', 'off')"
    " THEN pg_logical_emit_message(true, 'handrail', '')"
    " WHEN pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()"
    " THEN pg_logical_emit_message(false, 'handrail', '', true) END"
)
"""SQL, a query of one row, outside of any transaction: once it has answered, all that earlier
statements of this connection have seen stays, whatever becomes of the server, and is where our
commits have to be. Where everything is flushed, and no standby confirms, it writes nothing.
"""
