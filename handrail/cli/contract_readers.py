"""`handrail contracts readers`: what reads each form of an event, and since when no queue does."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import orjson

from handrail.app import App
from handrail.cli.contracts import readers_of
from handrail.connections import store_pool
from handrail.evolution.conversion import can_convert
from handrail.evolution.forms import Form
from handrail.messaging.broker.address import tls_of_management
from handrail.messaging.broker.form_bindings import Reader, bound, readers_in
from handrail.messaging.broker.management_api import BrokerSaidNo, Management
from handrail.messaging.contracts.event_readers import EventReaders
from handrail.messaging.contracts.form_readers import FormReader, Noted, forms_read, known
from handrail.settings import Settings
from handrail.terminal_tables import Column, Table, terminal


@dataclass(frozen=True)
class FormShown:
    """A form of an event, and the queues that read it. `gone` are those that did, the last first.

    `none_since` is when the last of them was seen; None where a queue reads it, or none ever did.
    `lowered`: whether the newest form can be published in it.
    """

    form: Form
    key: str
    lowered: bool
    queues: Sequence[str]
    gone: Sequence[FormReader]

    @property
    def none_since(self) -> datetime | None:
        return self.gone[0].last_seen if self.gone and not self.queues else None


async def readers(
    app: App, settings: Settings, event: str, *, json: bool, wide: bool = False
) -> int:
    """0; 1 where a queue reads a form that the newest cannot be published in, 2 for no event."""
    console = terminal(json=json, wide=wide)
    name = _current(app, event)
    if name is None:
        print(f"there is no event {event}", file=sys.stderr)
        return 2
    forms = app.codec.forms(name)
    async with (
        store_pool(settings, size=1, name="handrail-contracts") as pool,
        pool.connection() as connection,
    ):
        noted = await known(connection, forms)
    try:
        now = await _bound_now(app, settings)
    except BrokerSaidNo as error:
        console.print(str(error), style="red")
        now = None
    if now is None:
        seen = f"{noted.looked_at:%F %T}" if noted.looked_at else "never"
        console.print(f"queues are those that the relay saw when it looked last: {seen}")
    shown = [_shown(app, form, forms[-1], noted, now) for form in reversed(forms)]
    by_event = readers_of(app).get(name, EventReaders())
    table_of_readers(shown).print(console)
    for kind, names in by_event.as_json().items():
        console.print(f"{kind.replace('_', ' ')} (any form): {', '.join(names) or 'none'}")
    if json:
        looked_at = noted.looked_at if now is None else datetime.now(UTC)
        print(orjson.dumps(_as_json(name, looked_at, shown, by_event)).decode())
    return int(any(one.queues and not one.lowered for one in shown))


def table_of_readers(shown: Sequence[FormShown]) -> Table:
    table = Table(
        (
            Column("form"),
            Column("copies", rank=1),
            Column("none since", rank=2),
            Column("queues", kind="text"),
        )
    )
    for place, one in enumerate(shown):
        since = f"{one.none_since:%F %T}" if one.none_since else ""
        copies = "newest" if place == 0 else "lowered" if one.lowered else "none: no way down"
        table.add(str(one.form), copies, since, ", ".join(one.queues) or "none")
    return table


def _current(app: App, event: str) -> str | None:
    """The event's name now, of any name it has had; of one that was split, that of a part."""
    names = [one.__name__ for one in app.events]
    if event in names:
        return event
    return next((name for name in names if event in app.codec.stored_names(name)), None)


async def _bound_now(app: App, settings: Settings) -> Sequence[Reader] | None:
    """None where the settings name no management API. Raises BrokerSaidNo."""
    name = next(
        (
            one
            for one in ("broker_bindings_url", "broker_management_url")
            if getattr(settings, one) is not None
        ),
        None,
    )
    if name is None or app.broker is None:
        return None
    url = cast("str", settings.current(name))
    async with Management(url, verify=tls_of_management(settings)) as management:
        return readers_in(await management.bindings(), app.broker)


def _shown(
    app: App, form: Form, newest: Form, noted: Noted, now: Sequence[Reader] | None
) -> FormShown:
    key = app.routing.routing_key(form.name, form.version)
    if now is None:
        queues = noted.then(form)
    elif len(app.codec.forms(newest.name)) > 1:
        read = forms_read(now, app.codec.lineages, app.routing)
        queues = [reader for one, reader in read if one == form]
    else:
        queues = [one.name for one in now if bound(one.keys, key)]
    return FormShown(
        form=form,
        key=key,
        lowered=form == newest or can_convert(app.codec.lineages, newest, form),
        queues=sorted(set(queues)),
        gone=[one for one in noted.readers[form] if one.reader not in queues],
    )


def _as_json(
    name: str, looked_at: datetime | None, shown: Sequence[FormShown], by_event: EventReaders
) -> Mapping[str, Any]:
    return {
        "event": name,
        "looked_at": looked_at,
        "forms": [
            {
                "form": {"event": one.form.name, "version": one.form.version},
                "routing_key": one.key,
                "lowered": one.lowered,
                "queues": one.queues,
                "none_since": one.none_since,
                "gone": [
                    {
                        "queue": each.reader,
                        "first_seen": each.first_seen,
                        "last_seen": each.last_seen,
                    }
                    for each in one.gone
                ],
            }
            for one in shown
        ],
        **by_event.as_json(),
    }
