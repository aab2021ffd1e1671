"""Events in the forms that queues are bound to, whatever form is stored.

A queue that is bound to the stored form gets that alone. One that is bound to other forms of the
event, and not to it, gets a copy in the newest of these: lowered or lifted, under its own routing
key, with the same `ce-id`. While it is not known what queues are bound to, every event is published
in all its forms: a copy too many is a duplicate, and one too few would be lost.
`docs/decisions/0037-a-queue-gets-the-form-it-is-bound-to.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import structlog

from handrail.eventstore.codec import Codec
from handrail.eventstore.store import Recorded
from handrail.evolution.conversion import convert, related_forms
from handrail.evolution.forms import Form
from handrail.messaging.broker.form_bindings import Reader, bound
from handrail.messaging.relay.publisher import Counted, Message
from handrail.messaging.relay.routing import Routing

_log = structlog.get_logger(__name__)


@dataclass
class Bindings:
    """What queues are bound to; a background task of the process refreshes it. None: unknown."""

    readers: Sequence[Reader] | None = None


class BoundForms:
    """Which further forms of an event are published, and the messages of them."""

    def __init__(
        self, codec: Codec, routing: Routing, bindings: Bindings, counted: Counted
    ) -> None:
        self.bindings = bindings
        self._codec = codec
        self._routing = routing
        self._counted = counted
        self._seen: Sequence[Reader] | None = None
        self._wanted: dict[tuple[str, Form], Sequence[Form]] = {}
        self._said: set[tuple[Form, Form]] = set()

    @cached_property
    def related(self) -> Mapping[Form, Sequence[Form]]:
        """The other forms of each event that has more than one, newest first."""
        return related_forms(self._codec.lineages)

    def wanted(self, exchange: str, stored: Form) -> Sequence[Form]:
        """The forms beside the stored one that an event is published in, newest first."""
        others = self.related.get(stored, ())
        if not others:
            return ()
        if self.bindings.readers is not self._seen:
            self._seen = self.bindings.readers
            self._wanted.clear()
        if self._seen is None:
            return others
        place = (exchange, stored)
        if (known := self._wanted.get(place)) is None:
            known = self._wanted[place] = self._bound(exchange, stored, others, self._seen)
        return known

    def copies(self, exchange: str, event: Recorded) -> Sequence[Message]:
        """The event in each of these forms. What cannot be converted is left out, counted and
        logged: the stored form goes out all the same, and later events do not wait.
        """
        if not self.related:
            return ()
        stored = Form(event.type, event.schema)
        made = []
        for form in self.wanted(exchange, stored):
            try:
                data = convert(self._codec.lineages, stored, event.data, form)
                copy = replace(event, type=form.name, schema=form.version, data=data)
                made.append(Message.of(copy, self._routing, stored))
            except Exception as error:  # noqa: BLE001  # a conversion may raise anything
                self._note(exchange, stored, form, error)
        return made

    def _bound(
        self, exchange: str, stored: Form, others: Sequence[Form], readers: Sequence[Reader]
    ) -> Sequence[Form]:
        """For each reader that does not get the stored form, the newest that it is bound to."""
        own = self._key(stored)
        found = {
            next((one for one in others if bound(reader.keys, self._key(one))), None)
            for reader in readers
            if reader.exchange == exchange and not bound(reader.keys, own)
        }
        return [one for one in others if one in found]

    def _key(self, form: Form) -> str:
        return self._routing.routing_key(form.name, form.version)

    def _note(self, exchange: str, stored: Form, form: Form, error: Exception) -> None:
        if self.bindings.readers is None:
            return  # maybe no queue is bound to it
        self._counted.unconverted += 1
        if (stored, form) not in self._said:
            self._said.add((stored, form))
            _log.error(
                "an event is not published in a form that queues are bound to",
                exchange=exchange,
                stored=str(stored),
                bound=str(form),
                readers=sorted(self._readers_of(exchange, stored, form)),
                cause=f"{type(error).__name__}: {error}",
            )

    def _readers_of(self, exchange: str, stored: Form, form: Form) -> set[str]:
        own, key = self._key(stored), self._key(form)
        return {
            one.name
            for one in self.bindings.readers or ()
            if one.exchange == exchange and bound(one.keys, key) and not bound(one.keys, own)
        }
