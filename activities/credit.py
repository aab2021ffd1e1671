"""Credit lines: one stream for each customer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from domain.credit import credit_line
from domain.credit.commands import COMMANDS
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.eventstore.store import EventStore


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
    lines = CommandHandler(
        store,
        single_stream(
            credit_line.CATEGORY,
            credit_line.CreditLine(),
            lambda message: message.customer,
            credit_line.decide,
            credit_line.evolve,
        ),
    )
    return [serve(command, lines.handle) for command in COMMANDS]
