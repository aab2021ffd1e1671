"""The activities of proposals: a stream for each, beside the sagas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.eventstore.store import EventStore
from handrail.sagas import proposals


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
    """One for each command."""
    handler = CommandHandler(
        store,
        single_stream(
            proposals.CATEGORY,
            proposals.Proposal(),
            lambda message: message.proposal,
            proposals.decide,
            proposals.evolve,
        ),
    )
    return [serve(command, handler.handle) for command in proposals.COMMANDS]
