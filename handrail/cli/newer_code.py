"""What waits for newer code, as commands show it, and the decision to park it instead."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any, Final

from cyclopts import Parameter
from rich.console import Console

from handrail.cli.sealed_reason import opened
from handrail.eventstore import newer_code_decisions, newer_code_waits
from handrail.eventstore.codec import Codec
from handrail.eventstore.newer_code_decisions import Decision, Form
from handrail.eventstore.newer_code_waits import Waits
from handrail.eventstore.pool import Connection
from handrail.kernel import Attribution

_LARGEST: Final = 2**15 - 1
"""What the column of a version holds."""
_FORM: Final = re.compile(r"(\w{1,100})\.v([1-9][0-9]{0,4})")


def form_of(text: str) -> Form:
    """Raises ValueError where it is no event in a version."""
    found = _FORM.fullmatch(text)
    if found is None or int(found[2]) > _LARGEST:
        raise ValueError(f"{text[:120]} is no event in a version, such as CreditHeld.v2")
    return found[1], int(found[2])


def _is_a_form(_: Any, text: str) -> None:
    form_of(text)


FormName = Annotated[
    str, Parameter(help="The event in its version, such as CreditHeld.v2.", validator=_is_a_form)
]
Withdraw = Annotated[
    bool, Parameter(negative="", help="Take that back: from now on such events wait again.")
]


async def show_waiting(
    connection: Connection, console: Console, subscribers: Sequence[str], park: str
) -> tuple[Sequence[Waits], dict[str, Any]]:
    """Print what waits, and what is parked by decision; `park` is the command that decides so."""
    waits = await newer_code_waits.waiting(connection, subscribers)
    found = await newer_code_decisions.decisions(connection, subscribers)
    shown = await opened([one.reason for one in found])
    parked = [
        replace(one, reason=reason or "")
        for one, reason in zip(found, shown, strict=True)
        if one.parks
    ]
    for one in waits:
        console.print(f"{one.subscriber}: shard {one.shard} {one}", highlight=False)
    if waits:
        console.print(
            "  a process of the release that wrote it goes on there by itself; if there will be"
            f" none: {park}",
            highlight=False,
        )
    for decision in parked:
        console.print(_as_text(decision), highlight=False, markup=False)
    return waits, {
        "waiting": [asdict(one) for one in waits],
        "parks_unknown": [asdict(one) for one in parked],
    }


async def park_unknown(
    connection: Connection,
    console: Console,
    subscribers: Collection[str],
    form: Form,
    by: Attribution,
    *,
    codec: Codec,
    withdraw: bool,
) -> tuple[int, dict[str, Any]]:
    """0 once it is decided; 1 where this code reads the form, so that nothing has to be parked."""
    name = f"{form[0]} v{form[1]}"
    if not withdraw and codec.reads(*form):
        console.print(
            f"this code reads {name}: start its processes, and what waits goes on by itself",
            highlight=False,
        )
        return 1, {"decided": False}
    await newer_code_decisions.decide(connection, subscribers, form, by, parks=not withdraw)
    listed = ", ".join(sorted(subscribers))
    said = "waits for newer code again" if withdraw else "is parked from now on"
    console.print(f"{listed}: {name} {said}", highlight=False)
    return 0, {"decided": True}


def _as_text(one: Decision) -> str:
    return (
        f"{one.subscriber}: {one.type} v{one.schema} is parked, and does not wait: {one.reason}"
        f" ({one.actor}, {one.decided_at:%F %T})"
    )
