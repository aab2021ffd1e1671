"""What a customer may wish of a plan while it is collected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from handrail.personal import Personal


@dataclass(frozen=True, kw_only=True)
class PayAllNow:
    """The customer wants to pay all that is left; by the plan's card where `card` is empty."""

    actor: str
    card: Annotated[str, Personal()] = ""


@dataclass(frozen=True, kw_only=True)
class NewDate:
    """One instalment is to be due on another day. The same `id` twice is one wish."""

    id: str
    number: int
    due: date
    actor: str
