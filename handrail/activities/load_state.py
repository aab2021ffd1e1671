"""What a stream says now, for whoever reads it and appends nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, TypeVar

from handrail.eventstore.store import EventStore
from handrail.kernel import stream_name

StateT = TypeVar("StateT")


async def state_of(
    store: EventStore,
    category: str,
    identity: str,
    initial: StateT,
    evolve: Callable[[StateT, Any], StateT],
) -> StateT:
    """Folded from all its events; `initial` where there is no such stream."""
    stream = stream_name(category, identity)
    found = await store.load({stream: 0})
    return reduce(evolve, found[stream].events, initial)
