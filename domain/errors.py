"""Broken rules of this business. A docstring is the message, and says what to do."""

from __future__ import annotations

from handrail.errors import DomainError


class NoLines(DomainError):
    """At least one line is needed: say what is wanted, and how many."""


class TotalDiffers(DomainError):
    """The total is not the sum of the lines: add them up again."""


class DownPaymentDiffers(DomainError):
    """The down payment does not follow from the total and the instalments: compute it again."""


class FeeOutOfRange(DomainError):
    """A fee lies between 0 and 10000 basis points: a percent is 100 of them."""
