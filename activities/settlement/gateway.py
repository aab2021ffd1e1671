"""The public registry of businesses, as Handrail needs it, and the registry over HTTP."""

from __future__ import annotations

from typing import Protocol

from domain.settlement.commands import NotRegistered, Registered, RegistryReply
from handrail.activities.http_gateway import HttpGateway
from handrail.replies import Accepted, Declined


class Registry(Protocol):
    """What Handrail demands of a registry: of keys and answers, the same as of a bank.

    A question changes nothing there, so there is nothing to take back. What is no definite answer
    is raised, as the errors in `handrail.activities.http_gateway`.
    """

    async def check(self, *, key: str, merchant: str, registration: str) -> RegistryReply:
        """Whether the registry knows a business in good standing under this number."""
        ...


class HttpRegistry:
    """The registry over HTTP."""

    def __init__(self, registry: HttpGateway) -> None:
        self._registry = registry

    async def check(self, *, key: str, merchant: str, registration: str) -> RegistryReply:
        body = {"merchant": merchant, "registration": registration}
        match await self._registry.request("/checks", key=key, body=body):
            case Accepted(reference=reference):
                return Registered(entry=reference)
            case Declined(code=code):
                return NotRegistered(code=code)
