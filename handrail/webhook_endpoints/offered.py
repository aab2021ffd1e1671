"""OfferedEvents: the forms of events that a tenant may have sent to its webhook endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from handrail.eventstore.codec import Codec
from handrail.evolution.conversion import can_convert, convert
from handrail.evolution.forms import Data, Form
from handrail.messaging.relay.routing import Routing
from handrail.personal import personal_names


@dataclass(frozen=True)
class OfferedEvents:
    """`events` are those that the App lists. A form is named by its routing key, as at the broker:
    an endpoint gets an event in the form it asked for, whatever form is stored.
    """

    events: Sequence[type]
    codec: Codec
    routing: Routing

    @cached_property
    def forms(self) -> Mapping[str, Form]:
        """By routing key. An older form is there while an event can be brought back to it."""
        found: dict[str, Form] = {}
        for event in self.events:
            forms = self.codec.forms(event.__name__)
            for form in reversed(forms):
                if form == forms[-1] or can_convert(self.codec.lineages, forms[-1], form):
                    found[self.routing.routing_key(form.name, form.version)] = form
        return found

    @cached_property
    def _keys(self) -> Mapping[Form, Sequence[str]]:
        found: dict[Form, dict[str, None]] = {}
        for name in self.codec.classes:
            if name in self.routing.contexts:
                forms = self.codec.forms(name)
                keys = [self.routing.routing_key(one.name, one.version) for one in forms]
                for form in forms:
                    found.setdefault(form, {}).update(dict.fromkeys(keys))
        return {form: tuple(some) for form, some in found.items()}

    def keys_of(self, type_: str, schema: int) -> Sequence[str]:
        """The routing keys under which endpoints may have asked for an event that is stored so.
        Also of events that are not offered here: a newer release may offer them.
        """
        return self._keys.get(Form(type_, schema), ())

    @cached_property
    def personal(self) -> frozenset[str]:
        """The names of personal fields in offered events."""
        return frozenset().union(*map(personal_names, self.events))

    def in_form(self, key: str, type_: str, schema: int, data: Data) -> Data:
        """The data of a stored event in the form of this routing key.

        Raises LookupError where that is not offered any more, and CannotBeLowered.
        """
        form, stored = self.forms[key], Form(type_, schema)
        return data if form == stored else convert(self.codec.lineages, stored, data, form)
