"""Other companies that say yes at once, in the worker's own process: they are not measured."""

from __future__ import annotations

from typing import Any

from domain.settlement.commands import Registered, RegistryReply
from handrail.replies import Accepted, Reply


class AgreeableBank:
    async def authorise(self, *, key: str, **_: Any) -> Reply:
        return Accepted(reference=key)

    capture = void = charge = refund = pay_out = authorise


class AgreeableCarrier:
    async def book(self, *, key: str, **_: Any) -> Reply:
        return Accepted(reference=key)

    cancel = book


class AgreeableRegistry:
    async def check(self, *, key: str, **_: Any) -> RegistryReply:
        return Registered(entry=key)
