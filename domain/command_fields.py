"""The fields of the shop's commands: what bounds each, and which of them a person may correct.

What has no bound here is in no command: a test compares, and `docs/bounds.md` shows all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from domain.bounds import INSTALMENT_NUMBER, INSTALMENTS, KEYS, PARCELS, REFERENCE, REMINDER, ROWS
from domain.identifiers import CustomerId, OrderId, PayoutId, ReturnId, Sku
from handrail import bounds
from handrail.field_policy import FieldPolicy
from handrail.kernel import Command

FIELD_POLICY: Final = FieldPolicy(
    bounds={
        "by": bounds.ACTOR,
        "card": REFERENCE,
        "cause": bounds.CAUSE,
        "code": bounds.OUTSIDE,
        "currency": bounds.CURRENCY,
        "day": bounds.DAY_OF_MONTH,
        "delivery": bounds.ID,
        "dispute": bounds.ID,
        "documents": bounds.DOCUMENTS,
        "entry": bounds.OUTSIDE,
        "fee_bps": bounds.BASIS_POINTS,
        "instalments": INSTALMENTS,
        "keys": KEYS,
        "kind": bounds.ID,
        "lines": bounds.LINES,
        "number": INSTALMENT_NUMBER,
        "open_orders": KEYS,
        "parcels": PARCELS,
        "payment": bounds.SAGA_ID,
        "quantity": bounds.QUANTITY,
        "registration": bounds.ID,
        "reminder": REMINDER,
        "removed": bounds.DOCUMENTS,
        "ship_to": bounds.ID,
        "skus": bounds.LINES,
    },
    nested={
        ("removed", "count"): ROWS,
        ("removed", "what"): bounds.ID,
        ("documents", "reference"): REFERENCE,
        ("reply", "reference"): bounds.OUTSIDE,
    },
    ids={
        OrderId: bounds.ID,
        CustomerId: bounds.ID,
        Sku: bounds.ID,
        ReturnId: bounds.ID,
        PayoutId: bounds.SAGA_ID,
    },
    answers=frozenset({"reply", "open_orders", "owed", "keys", "removed", "erased_at"}),
    correctable=frozenset(
        {"at", "card", "cause", "completed_at", "documents", "parcels", "registration", "ship_to"}
    ),
)


@dataclass(frozen=True, kw_only=True)
class ShopCommand(Command):
    """The base of every command of the shop."""

    field_policy: ClassVar[FieldPolicy] = FIELD_POLICY
