"""What another company replied to a request, as a command carries it: accepted, or declined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from handrail.errors import OutsideAnswerMissing
from handrail.kernel import Command, Refusal


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The company did it; `reference` is its own name for it."""

    reference: str


@dataclass(frozen=True, kw_only=True)
class Declined:
    """The company certainly did not do it; `code` is its reason."""

    code: str


Reply = Accepted | Declined
"""What another company replied."""


@dataclass(frozen=True, kw_only=True)
class CompanyCommand(Command):
    """Asks another company; the activity adds what it replied."""

    asks_outside: ClassVar[bool] = True
    reply: Reply | None = None

    @property
    def known_reply(self) -> Reply:
        """Raises OutsideAnswerMissing where the command is decided before the company is asked."""
        if self.reply is None:
            raise OutsideAnswerMissing(type(self).__name__)
        return self.reply


@dataclass(frozen=True, kw_only=True)
class CompanyRefusal(Refusal):
    """Another company declined; `code` is its reason."""

    code: str

    @property
    def reason(self) -> str:
        return f"declined: {self.code}"
