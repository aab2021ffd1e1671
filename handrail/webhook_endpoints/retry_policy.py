"""When a webhook that failed is sent again, when it is given up, and when its endpoint is."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

IN_A_ROW: Final = 5
"""After so many failures in a row an endpoint rests, and one message at a time finds out whether it
is back.
"""
_MOST_DOUBLINGS: Final = 40


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """In seconds: the first pause, the longest, how long a delivery is tried after its first try
    before it is parked, and how long an endpoint may fail before it is disabled. `rests` is the
    longest an endpoint rests between two looks.
    """

    first: float = 5.0
    longest: float = 14_400.0
    parks_after: float = 259_200.0
    disables_after: float = 432_000.0
    rests: float = 300.0

    def again(
        self, attempts: int, tried_for: timedelta, asked_for: float | None = None
    ) -> timedelta | None:
        """After how long the next try is, given those made and the time since the first; None: no
        more. What the endpoint `asked_for` is the least, within the longest pause.
        """
        pause = max(self._doubled(attempts), min(asked_for or 0.0, self.longest))
        if tried_for.total_seconds() + pause > self.parks_after:
            return None
        return timedelta(seconds=pause)

    def rest(self, failures: int) -> timedelta | None:
        """How long the endpoint rests that failed so often in a row; None: it does not."""
        if failures < IN_A_ROW:
            return None
        return timedelta(seconds=min(self._doubled(failures - IN_A_ROW + 1), self.rests))

    def asked_rest(self, asked_for: float | None) -> timedelta | None:
        """What an endpoint asks for in Retry-After, within the longest pause."""
        return None if asked_for is None else timedelta(seconds=min(asked_for, self.longest))

    def disables(self, failing_for: timedelta) -> bool:
        """Whether the endpoint is disabled that has failed for so long."""
        return failing_for.total_seconds() > self.disables_after

    def _doubled(self, attempts: int) -> float:
        """Between half and all of it: what failed together does not come again together."""
        whole: float = self.first * 2 ** min(attempts - 1, _MOST_DOUBLINGS)
        return min(whole, self.longest) * random.uniform(0.5, 1.0)  # noqa: S311  # no secret
