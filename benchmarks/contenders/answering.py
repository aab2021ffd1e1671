"""Other companies that say yes at once, in the worker's own process: they are not measured."""

from __future__ import annotations

from typing import Any

from domain.payments.commands import Approved, BankReply
from domain.settlement.commands import Registered, RegistryReply
from domain.shipping.commands import Booked, CarrierReply


class AgreeableBank:
    async def authorise(self, *, key: str, **_: Any) -> BankReply:
        return Approved(reference=key)

    capture = void = charge = refund = pay_out = authorise


class AgreeableCarrier:
    async def book(self, *, key: str, **_: Any) -> CarrierReply:
        return Booked(reference=key)

    cancel = book


class AgreeableRegistry:
    async def check(self, *, key: str, **_: Any) -> RegistryReply:
        return Registered(entry=key)
