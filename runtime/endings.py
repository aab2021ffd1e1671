"""How sagas ended: what has settled and may be held to account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from domain.kernel import OrderId
from domain.sagas.events import SagaEnded, SagaStarted
from runtime.evidence import Evidence

CHECKOUT: Final = "Checkout"


def endings(evidence: Evidence) -> Mapping[OrderId, str]:
    """How each checkout ended that has, by its order; the last attempt counts."""
    checkouts = {
        event.saga
        for _, event in evidence.events_of("saga")
        if isinstance(event, SagaStarted) and event.saga_type == CHECKOUT
    }
    return {OrderId(saga): how for saga, how in saga_endings(evidence).items() if saga in checkouts}


def saga_endings(evidence: Evidence) -> Mapping[str, str]:
    """The same of sagas of every kind, by their own ids."""
    found: dict[str, str] = {}
    for identity, event in evidence.events_of("saga"):
        match event:
            case SagaStarted():
                found.pop(identity, None)
            case SagaEnded(ending=ending):
                found[identity] = ending
            case _:
                pass
    return found
