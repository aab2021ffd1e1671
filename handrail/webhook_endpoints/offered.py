"""OfferedEvents: the forms of events that a tenant may have sent to its webhook endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from handrail.eventstore.codec import Codec
from handrail.evolution.conversion import can_convert, convert, has_way, lifted_to
from handrail.evolution.forms import CannotBeLowered, Data, Form
from handrail.messaging.relay.routing import Routing
from handrail.webhook_endpoints.message import withheld
from handrail.webhook_endpoints.older_forms import without_older_texts
from handrail.webhook_endpoints.personal_fields import personal_keys


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
    def _known(self) -> Mapping[str, Form]:
        """Every form that an endpoint may have asked for at some time, by routing key."""
        return {
            self.routing.routing_key(form.name, form.version): form
            for event in self.events
            for form in self.codec.forms(event.__name__)
        }

    @cached_property
    def _keys(self) -> Mapping[Form, Mapping[str, Form]]:
        found: dict[Form, dict[str, Form]] = {}
        for name in self.codec.classes:
            if name in self.routing.contexts:
                forms = self.codec.forms(name)
                for stored in forms:
                    found.setdefault(stored, {}).update(
                        (self.routing.routing_key(form.name, form.version), form)
                        for form in forms
                        if has_way(self.codec.lineages, stored, form)
                    )
        return found

    def keys_of(self, type_: str, schema: int, data: Data) -> Sequence[str]:
        """The routing keys under which endpoints may have asked for an event that is stored so: of
        all forms that there is a way to. Of an event that was split, a part that the way up leaves
        out is not among them.

        Also of events that are not offered here: a newer release may offer them.
        """
        stored = Form(type_, schema)
        keys = self._keys.get(stored, {})
        if not self.codec.lineages.is_split(stored):
            return tuple(keys)
        return tuple(key for key, form in keys.items() if self._has_part(stored, data, form))

    def _has_part(self, stored: Form, data: Data, form: Form) -> bool:
        try:
            return self._converted(stored, data, form) is not None
        except Exception:  # noqa: BLE001  # a conversion may raise anything: the delivery says what
            return True

    @cached_property
    def personal(self) -> frozenset[str]:
        """The names of personal fields in offered events, with those of older forms."""
        return frozenset().union(*(personal_keys(self.codec, one) for one in self.events))

    def in_form(self, key: str, type_: str, schema: int, data: Data) -> Data:
        """The data of a stored event in the form of this routing key.

        Raises LookupError where its event is not offered any more, and CannotBeLowered.
        """
        form, stored = self._known[key], Form(type_, schema)
        found = self._converted(stored, data, form)
        if found is None:
            raise CannotBeLowered(f"there is no way from {stored} to {form}")
        return found

    def shown(self, key: str, type_: str, schema: int, data: Data) -> Data:
        """As `in_form`, without personal texts: what is one by any declaration of today is none
        that an older event is sent with. Raises what `in_form` and conversions raise.
        """
        form = self._known[key]
        found = self.in_form(key, type_, schema, data)
        found = without_older_texts(self.codec.lineages, form, found, self.personal)
        shown: Data = withheld(found, self.personal)
        return shown

    def _converted(self, stored: Form, data: Data, form: Form) -> Data | None:
        if can_convert(self.codec.lineages, stored, form):
            return convert(self.codec.lineages, stored, data, form)
        return lifted_to(self.codec.lineages, stored, data, form)
