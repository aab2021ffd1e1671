"""Credit lines: one stream for each customer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from activities.handling import Handler, single
from activities.serving import serve
from domain.credit import credit_line
from domain.credit.commands import COMMANDS
from eventstore.store import EventStore


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
    lines = Handler(
        store,
        single(
            credit_line.CATEGORY,
            credit_line.CreditLine(),
            lambda message: message.customer,
            credit_line.decide,
            credit_line.evolve,
        ),
    )
    return [serve(command, lines.handle) for command in COMMANDS]
