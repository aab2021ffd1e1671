"""The plain loop as a live feed: it selects what lies behind its last position, again and again.

It never sees an event whose transaction was overtaken by a later one.
"""

from __future__ import annotations

import threading
from typing import Final

from benchmarks.peers.plain_loop import COLUMNS, PlainLoop, connect

POLL: Final = 0.05
"""Seconds."""
PAGE: Final = 1_000


class Polling:
    """For a thread of its own; `ready` once it has read all there was."""

    def __init__(self, url: str) -> None:
        self.ready, self.stop = threading.Event(), threading.Event()
        self.handled = self.statements = 0
        self._last = 0
        self._url = url

    def has_passed(self, position: int) -> bool:
        return self._last >= position

    def run(self) -> None:
        selects = 0
        select = f"SELECT {COLUMNS} FROM events WHERE position > %s ORDER BY position LIMIT {PAGE}"
        with connect(self._url) as connection:
            loop = PlainLoop(connection)
            while not self.stop.is_set():
                rows = connection.execute(select, (self._last,)).fetchall()
                loop.handle(rows)
                connection.commit()
                self._last = rows[-1][0] if rows else self._last
                selects += 1
                self.handled += len(rows)
                self.statements = loop.statements + 3 * selects  # BEGIN and COMMIT, too
                if len(rows) < PAGE:
                    self.ready.set()
                    self.stop.wait(POLL)
