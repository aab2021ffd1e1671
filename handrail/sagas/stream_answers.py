"""What the saga's own stream answers to a workflow (`handrail/sagas/stream_commands.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from handrail.sagas.events import Ending, FreeText, SagaEnded
from handrail.sagas.recovery import Leftovers, Standing


@dataclass(frozen=True, kw_only=True)
class Begun:
    """An attempt has begun, under the number and the day of its keys that the store decided on.

    `lefts` are what all attempts since the last end left behind, oldest first; `left` is the last
    of them, for workflows that began when there was only one. Where `ended` is given, no attempt
    was begun: the saga had come to this end, which allows no other.
    """

    token: str
    left: Leftovers | None
    lefts: tuple[Leftovers, ...] = ()
    attempt: int = 0
    ended: SagaEnded | None = None


@dataclass(frozen=True, kw_only=True)
class Turned:
    """What the stream answers to TurnBack; `crossed`: no way back, as the pivot took effect.

    Otherwise all forward keys of the attempt's steps are closed, and `standing` says how the steps
    stood at that moment.
    """

    crossed: bool
    token: str = ""
    because: str = ""
    reason: FreeText = ""
    ending: Ending = "compensated"
    standing: Standing = field(default_factory=Standing)


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """Whether the saga is cancelled, and the pivot's key closed; else `said` is why it is not."""

    accepted: bool
    said: str = ""
