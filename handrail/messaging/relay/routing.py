"""Where each event goes at the broker: its key, and the exchanges it is published to."""

from __future__ import annotations

from typing import Final

from handrail import kernel
from handrail.eventstore.codec import UnknownMessage
from runtime.registry.messages import EVENTS

HOME: Final = "commerce"
"""The virtual host in which events are published; others get them by federation."""

EXCHANGES: Final = ("events", "money", "parcels", "sagas")

_CONTEXTS: Final = {one.__name__: kernel.context_of(one) for one in EVENTS}
_ALSO: Final = {
    "credit": "money",
    "payments": "money",
    "settlement": "money",
    "inventory": "parcels",
    "shipping": "parcels",
}


def context_of(event_type: str) -> str:
    """The context an event belongs to: `credit` for CreditHeld.

    Raises UnknownMessage for an event that this code does not know.
    """
    try:
        return _CONTEXTS[event_type]
    except KeyError:
        raise UnknownMessage(event_type) from None


def routing_key(event_type: str, schema: int) -> str:
    """As in `credit.CreditHeld.v1`. Raises UnknownMessage."""
    return f"{context_of(event_type)}.{event_type}.v{schema}"


def exchanges_of(event_type: str) -> tuple[str, ...]:
    """To which exchanges the event is published. What sagas note about themselves has one of its
    own: it is not the business of other services.

    Raises UnknownMessage.
    """
    context = context_of(event_type)
    if context == "sagas":
        return ("sagas",)
    return ("events", _ALSO[context]) if context in _ALSO else ("events",)
