"""What another company replied to a request, as a command carries it: accepted, or declined."""

from __future__ import annotations

from dataclasses import dataclass


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
