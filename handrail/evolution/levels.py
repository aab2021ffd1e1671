"""Write levels: the newest form of each message that may be written.

A process-wide value; a background task refreshes it from the table `event_levels`
(`handrail/eventstore/write_levels.py`), and the codec reads it at each message it encodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class WriteLevels:
    """`rows` are versions by name, as they are in the table; None: the newest form of everything.

    A message without a row is at its first form.
    """

    rows: Mapping[str, int] | None = None
