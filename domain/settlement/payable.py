"""Whom a run of payouts is to pay: nothing is stored of it."""

from __future__ import annotations

from dataclasses import dataclass

from domain.identifiers import MerchantId
from handrail.kernel import Money


@dataclass(frozen=True, kw_only=True)
class Payable:
    """A merchant, and what we owed at the moment somebody looked."""

    merchant: MerchantId
    balance: Money
