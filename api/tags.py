"""OpenAPI tags of the shop, and what the library's are about here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TAGS: Final[Mapping[str, str]] = {
    "orders": "Place orders, look at them, take them back.",
    "customers": "Credit limits, what is held and owed, and messages.",
    "merchants": "Accounts, balances and stock.",
    "payouts": "Runs that pay all merchants what they are owed.",
    "webhooks": "What bank and carrier tell us, signed.",
}
