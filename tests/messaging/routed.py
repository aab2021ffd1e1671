"""The shop's routing with events that exist only in a test."""

from __future__ import annotations

from handrail.messaging.relay.routing import Routing
from runtime.app import HANDRAIL


def routed(**contexts: str) -> Routing:
    """With the context of each further event, by the event's name."""
    return Routing({**HANDRAIL.routing.contexts, **contexts}, HANDRAIL.broker, HANDRAIL.tenant)
