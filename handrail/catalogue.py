"""The catalogue of a business: its messages, sagas, read models and consumers, as one value.

It is the part of the App that the HTTP API, the console and the proofs work with. It loads neither
FastAPI nor Temporal's SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

from handrail.access.roles import Access
from handrail.audit import acts
from handrail.command_fields import bounds_of
from handrail.declarations import mistakes_of_projection, mistakes_of_saga
from handrail.eventstore.business_tables import BusinessTables, EventIds, roles_of
from handrail.eventstore.codec import Codec
from handrail.evolution.changes import Change
from handrail.evolution.mistakes import mistakes_of
from handrail.kernel import Message, Refusal
from handrail.messaging.broker.plan import BrokerPlan, mistakes
from handrail.messaging.broker.topology import NotToBeHad, topology
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.relay.routing import Routing
from handrail.privacy.declared import (
    are_declared,
    mistakes_of_messages,
    mistakes_of_renamed_subjects,
)
from handrail.projections import intervention_board, saga_board, saga_figures
from handrail.projections.intervention_board import InterventionRow
from handrail.projections.projection import Projection
from handrail.projections.read_model import NEXT
from handrail.projections.saga_board import SagaRow
from handrail.projections.saga_figures import SagaTally
from handrail.sagas import events, interventions, proposals, stream_commands
from handrail.sagas.shapes import SagaShapes
from handrail.tenant_word import TENANT_WORD, key_of, wrong_with
from handrail.webhook_endpoints.offered import OfferedEvents
from handrail.wrongly_declared import WronglyDeclared, refuse_two

if TYPE_CHECKING:
    from handrail.sagas.saga_type import SagaType


class UnknownConsumer(LookupError):
    """There is no consumer of this name."""


Part = TypeVar("Part")
Named = TypeVar("Named", Consumer, Projection[Any])
Parts = Sequence[Part] | Callable[[], Sequence[Part]]


def made(parts: Parts[Part]) -> Sequence[Part]:
    """The parts, whether they are given or a function makes them."""
    return parts() if callable(parts) else parts


@dataclass(frozen=True, kw_only=True)
class Context:
    """A bounded context: the messages it owns.

    `name` is data, never a module path: it names the task queue, the routing keys and the source of
    CloudEvents, so it stays when files move. Each of its messages is declared with it
    (`class HoldCredit(Command, context="credit")`).
    """

    name: str
    events: tuple[type, ...] = ()
    commands: tuple[type, ...] = ()

    def __post_init__(self) -> None:
        for message in (*self.events, *self.commands):
            said = message.context if issubclass(message, Message) else ""
            if said != self.name:
                raise WronglyDeclared(
                    f"{message.__name__} is listed in the context {self.name}, but declared with"
                    f" context={said!r}: make both the same"
                )


SAGAS: Final = Context(
    name="sagas",
    events=(*events.EVENTS, *interventions.EVENTS, *proposals.EVENTS, *acts.EVENTS),
    commands=(*stream_commands.COMMANDS, *proposals.COMMANDS),
)
"""The library's own context: what sagas record about themselves, and acts of operators."""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What a business says, remembers and runs; `handrail.app.App` is one.

    Raises WronglyDeclared, or ValueError where two messages have one name.
    """

    contexts: Sequence[Context]
    tenant: str = TENANT_WORD
    """What the business calls its tenant. Names follow from it, on the wire and in the store
    (`handrail/tenant_word.py`), so it stays: 1 to 20 small letters and digits.
    """
    sagas: Parts[SagaType[Any]] = ()
    """A function where their modules are to be imported only by processes that need them."""
    projections: Sequence[Projection[Any]] = ()
    consumers: Sequence[Consumer] = ()
    broker: BrokerPlan | None = None
    """None: there is none, and consumers are fed from the store."""
    tables: BusinessTables | None = None
    """Tables of the business beside the library's, with migrations of their own."""
    evolutions: Sequence[Change] = ()
    """What became of messages since they were first stored (`handrail/evolution/changes.py`)."""
    access: Access = field(default_factory=Access)
    """The scopes of its routes, and which roles have them."""
    path_rows: Mapping[str, Projection[Any]] = field(default_factory=dict)
    """The read models of which path parameters are keys, by the parameter: they say whose a path
    is (`handrail/http/path_owners.py`)."""
    saga_links: Callable[[str], Mapping[str, str]] = lambda _: {}
    """Links of a saga, by its id, to what it is about."""
    tenant_events: Sequence[type] = ()
    """The events that a tenant may have sent to webhook endpoints of its own."""

    def __post_init__(self) -> None:
        if said := wrong_with(self.tenant):
            raise WronglyDeclared(f"tenant={self.tenant!r} {said}: give the tenant another word")
        refuse_two("contexts", (one.name for one in (*self.contexts, SAGAS)))
        refuse_two("messages", (one.__name__ for one in (*self.events, *self.commands)))
        if self.evolutions:
            self._refuse_wrong_changes()
            object.__setattr__(self, "consumers", tuple(map(self._with_earlier, self.consumers)))
            found = tuple(map(self._with_earlier, self.projections))
            object.__setattr__(self, "projections", found)
        if not callable(self.sagas):
            _ = self.saga_types
        refuse_two("projections", (one.name for one in self.read_models))
        refuse_two("consumers", (one.name for one in self.consumers))
        self._refuse_what_never_comes()
        for said in self.access.mistakes():
            raise WronglyDeclared(said)
        for said in roles_of(self.tables, [one.name for one in self.consumers]).mistakes():
            raise WronglyDeclared(said)
        self._refuse_unbounded_corrections()
        for said in mistakes_of_messages((*self.events, *self.commands)):
            raise WronglyDeclared(said)
        self._refuse_what_no_context_has()

    @cached_property
    def events(self) -> tuple[type, ...]:
        """Of all contexts, the library's own last."""
        return tuple(event for one in (*self.contexts, SAGAS) for event in one.events)

    @cached_property
    def commands(self) -> tuple[type[Any], ...]:
        """What may come from outside: those of the business."""
        return tuple(command for one in self.contexts for command in one.commands)

    @cached_property
    def codec(self) -> Codec:
        """Encodes and decodes every message there is."""
        return Codec.of(
            (*self.events, *self.commands, *SAGAS.commands), self.evolutions, tenant=self.tenant
        )

    @cached_property
    def has_personal_fields(self) -> bool:
        """Whether a message or a saga's input of the business has a text that is to be sealed."""
        inputs = (type(one.example_input) for one in self.saga_types.values())
        own = (event for one in self.contexts for event in one.events)
        return are_declared((*own, *self.commands, *inputs))

    @cached_property
    def offered_events(self) -> OfferedEvents:
        """The forms of events that webhook endpoints may be sent."""
        return OfferedEvents(self.tenant_events, self.codec, self.routing)

    @cached_property
    def routing(self) -> Routing:
        """Where each event goes at the broker, under its earlier names, too."""
        now = Routing.of(self.events, self.broker, tenant=self.tenant)
        earlier = {
            name: now.contexts[event.__name__]
            for event in self.events
            for name in self.codec.stored_names(event.__name__)
        }
        return replace(now, contexts={**earlier, **now.contexts})

    @cached_property
    def saga_types(self) -> Mapping[str, SagaType[Any]]:
        """By name."""
        sagas = made(self.sagas)
        refuse_two("sagas", (one.name for one in sagas))
        for said in chain(*(mistakes_of_saga(one, self.commands) for one in sagas)):
            raise WronglyDeclared(said)
        return {one.name: one for one in sagas}

    @cached_property
    def shapes(self) -> SagaShapes:
        """In which shapes sagas begin: one value for the process."""
        return SagaShapes({name: one.workflow.shape for name, one in self.saga_types.items()})

    @property
    def event_ids(self) -> Sequence[EventIds]:
        """Where tables of the business hold ids of events."""
        return self.tables.event_ids if self.tables else ()

    @property
    def saga_board(self) -> Projection[SagaRow]:
        """Which sagas there are; its column for the tenant has the App's word as its name."""
        return saga_board.projection(self.tenant)

    @property
    def intervention_board(self) -> Projection[InterventionRow]:
        """Which interventions in many sagas there are."""
        return intervention_board.projection(self.tenant)

    @cached_property
    def saga_figures(self) -> Projection[SagaTally]:
        """How many sagas of each type there are, and what became of them."""
        refusals = (one.__name__ for one in self.events if issubclass(one, Refusal))
        stored = chain(*map(self.codec.stored_names, refusals))
        return saga_figures.projection(stored)

    @cached_property
    def read_models(self) -> tuple[Projection[Any], ...]:
        """The projections of the business, then the library's own."""
        return (
            *self.projections,
            self.saga_board,
            self.saga_figures,
            self.intervention_board,
        )

    @cached_property
    def read_model_names(self) -> frozenset[str]:
        """With those of the ones that may be being built."""
        return frozenset(one.name + suffix for one in self.read_models for suffix in ("", NEXT))

    @property
    def context_names(self) -> tuple[str, ...]:
        """Those that have a task queue; that of the sagas first."""
        return (SAGAS.name, *(one.name for one in self.contexts))

    def consumer(self, name: str) -> Consumer:
        """Raises UnknownConsumer, which names those there are."""
        found = {one.name: one for one in self.consumers}
        if name not in found:
            there_are = ", ".join(sorted(found))
            raise UnknownConsumer(f"there is no consumer {name}: one of {there_are}")
        return found[name]

    def _refuse_what_never_comes(self) -> None:
        for one in self.consumers:
            for event in one.wants:
                if event not in self.events:
                    raise WronglyDeclared(
                        f"the consumer {one.name} wants {event.__name__}, which no context has: add"
                        " it to the events of its context"
                    )
        for event in self.tenant_events:
            if event not in self.events:
                raise WronglyDeclared(
                    f"tenant_events has {event.__name__}, which no context has: add it to the"
                    " events of its context"
                )
        refuse_two("queues", (f"{one.vhost}/{one.queue}" for one in self.consumers))
        if self.broker is None:
            return
        for said in mistakes(self.broker, {one.name for one in self.contexts}):
            raise WronglyDeclared(said)
        try:
            topology(self.routing, self.consumers)
        except NotToBeHad as wrong:
            raise WronglyDeclared(str(wrong)) from None

    def _refuse_what_no_context_has(self) -> None:
        found = chain(*(mistakes_of_projection(one, self.events) for one in self.read_models))
        for said in found:
            raise WronglyDeclared(said)

    def _with_earlier(self, part: Named) -> Named:
        """A consumer or projection that finds its events under their earlier names, too."""
        events = part.wants if isinstance(part, Consumer) else part.handles
        names = {one.__name__ for one in events}
        earlier = frozenset(
            old for name in names for old in self.codec.stored_names(name) if old not in names
        )
        return replace(part, earlier=earlier) if earlier else part

    def _refuse_wrong_changes(self) -> None:
        own: tuple[type[Any], ...] = (
            *(event for one in self.contexts for event in one.events),
            *self.commands,
        )
        keys = {
            one.__name__: {key_of(one, each.name, self.tenant) for each in fields(one)}
            for one in own
        }
        commands = {one.__name__ for one in self.commands}
        contexts = {one.__name__: one.context for one in own}
        of_subjects = mistakes_of_renamed_subjects(self.evolutions, own)
        for said in chain(mistakes_of(self.evolutions, keys, contexts, commands), of_subjects):
            raise WronglyDeclared(said)

    def _refuse_unbounded_corrections(self) -> None:
        for command in self.commands:
            if not command.field_policy.correctable:
                continue
            try:
                list(bounds_of(command))
            except LookupError as field:
                raise WronglyDeclared(
                    f"{command.__name__} has a field that its field_policy does not bound: {field}:"
                    " name it in FieldPolicy.bounds"
                ) from None
