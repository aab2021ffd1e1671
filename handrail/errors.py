"""Broken rules. A docstring is the message, and says what to do."""

from __future__ import annotations


class DomainError(Exception):
    """A rule of the business was broken: the request is wrong and stays wrong when repeated."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(f"{type(self).__doc__} {detail}".strip())


class CurrencyMismatch(DomainError):
    """Two currencies cannot be added or compared: use the currency of the account."""


class UnknownAggregate(DomainError):
    """Nothing is known under this id: create it first."""


class OutOfOrder(DomainError):
    """This cannot happen in the present state: look at the stream's events."""


class SamePerson(DomainError):
    """Who has proposed it may not approve it: a second person has to."""


class NotPositive(DomainError):
    """A quantity or amount must be greater than zero."""


class ContentDiffers(DomainError):
    """The same id was used before with other content: use a new id."""


class OutsideAnswerMissing(DomainError):
    """The answer of the other company is missing: the activity has to ask before it decides."""


class NotACurrency(DomainError):
    """A currency is three capital letters of ISO 4217: such as EUR."""
