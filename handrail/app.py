"""The App: everything a team declares to Handrail, as one value.

    HANDRAIL = App(contexts=[travel.CONTEXT, …], sagas=[book_trip.SAGA, …], projections=[…], …)

Nothing is found by scanning and nothing registers itself: what is not in the value does not exist.
What is declared wrongly is refused when the value is made, with a sentence that names the place and
the remedy. The parts that need heavy packages are functions, or may be, so that each process
imports only what it runs; what a function makes is checked when it is made, by `handrail check` at
the latest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from handrail.access.roles import Access
from handrail.audit import acts
from handrail.command_fields import bounds_of
from handrail.console.declared import Console
from handrail.declarations import mistakes_of_projection, mistakes_of_saga
from handrail.errors import DomainError
from handrail.eventstore.business_tables import BusinessTables, EventIds, roles_of
from handrail.eventstore.codec import Codec
from handrail.evolution.changes import Change
from handrail.evolution.mistakes import mistakes_of
from handrail.http.api_examples import NEUTRAL, ApiExamples
from handrail.http.problem_kinds import RULES, kinds_with, library_types
from handrail.http.problem_types import ProblemType
from handrail.kernel import Message, Refusal
from handrail.lake.plan import LakePlan, Views
from handrail.messaging.broker.plan import BrokerPlan, mistakes
from handrail.messaging.broker.topology import NotToBeHad, topology
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.contracts.asyncapi import document
from handrail.messaging.contracts.examples import Examples
from handrail.messaging.contracts.schemas import Described, Schema
from handrail.messaging.relay.routing import Routing
from handrail.notifications import kinds as notifications
from handrail.notifications.kinds import MessageKinds
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
from handrail.sagas.options import RunOptions
from handrail.sagas.shapes import SagaShapes
from handrail.settings import Settings, with_contexts
from handrail.simulators.simulator import Simulator
from handrail.temporal.run_options import run_options
from handrail.tenant_word import TENANT_WORD, key_of, wrong_with
from handrail.webhook_endpoints.offered import OfferedEvents
from handrail.wrongly_declared import WronglyDeclared, refuse_two

if TYPE_CHECKING:
    from fastapi import APIRouter

    from handrail.activities.resources import Resources
    from handrail.http.webhook_sources import Webhooks
    from handrail.sagas.saga_type import SagaType
    from handrail.temporal.client import Activities
    from handrail.verify.verification import Verification


class UnknownConsumer(LookupError):
    """There is no consumer of this name."""


@dataclass(frozen=True, kw_only=True)
class OperatorCommand:
    """A command of the business for its operators: `handrail NAME`.

    `at` is where it stands, "module:name", a function or a cyclopts App; it is imported when it
    runs. `help` is its line in `handrail --help`.
    """

    name: str
    at: str
    help: str


LIBRARY_COMMANDS: Final = (
    *("api", "approve", "blame", "campaign", "check", "codec", "consumer", "consumers"),
    *("contracts", "database", "deploy", "dispatcher", "events", "keys", "lake", "migrate", "new"),
    *("notifications", "notifier"),
    *("payload-keys", "projections", "projector", "relay", "restore", "sagas", "settings"),
    *("topology", "up", "verify", "webhook-endpoints", "worker"),
)
"""Of `handrail`, whatever the business is."""

Part = TypeVar("Part")
Named = TypeVar("Named", Consumer, Projection[Any])
Parts = Sequence[Part] | Callable[[], Sequence[Part]]


def made(parts: Parts[Part]) -> Sequence[Part]:
    """The parts, whether they are given or a function makes them."""
    return parts() if callable(parts) else parts


def _no_activities(_: Resources) -> Activities:
    return {}


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
class App:
    """A business as Handrail runs it.

    Raises WronglyDeclared, or ValueError where two messages have one name.
    """

    contexts: Sequence[Context]
    tenant: str = TENANT_WORD
    """What the business calls its tenant. Names follow from it, on the wire and in the store
    (`handrail/tenant_word.py`), so it stays: 1 to 20 small letters and digits.
    """
    sagas: Parts[SagaType[Any]] = ()
    """A function where their modules are to be imported only by processes that need them."""
    workflows: Parts[type[Any]] = ()
    """Processes around sagas: workflows without a stream of their own; a function, likewise."""
    projections: Sequence[Projection[Any]] = ()
    consumers: Sequence[Consumer] = ()
    broker: BrokerPlan | None = None
    """None: there is none, and consumers are fed from the store."""
    lake: Callable[[], LakePlan] = LakePlan
    """What the lake has beside the events. A function, for only `handrail lake` needs it."""
    messages: MessageKinds = field(default_factory=lambda: MessageKinds.of((), {}))
    """What the notifier sends beside campaigns."""
    examples: Examples = field(default_factory=Examples)
    """What the contracts of events show."""
    tables: BusinessTables | None = None
    """Tables of the business beside the library's, with migrations of their own."""
    settings: type[Settings] = Settings
    """With the settings of the business, in a subclass."""
    options: Callable[[Any], RunOptions] = run_options
    """How sagas run, from `settings`; what the workflows' second argument is."""
    activities: Callable[[Resources], Activities] = _no_activities
    """The activities of each context, by its name; it imports what a worker needs."""
    simulators: Sequence[Simulator] = ()
    operator_commands: Sequence[OperatorCommand] = ()
    verification: Callable[[Any], Verification[Any]] | None = None
    """What `handrail verify` proves of the business, from `settings`; it imports what it needs."""
    evolutions: Sequence[Change] = ()
    """What became of messages since they were first stored (`handrail/evolution/changes.py`)."""

    routers: Callable[[], Sequence[APIRouter]] = tuple
    """The HTTP API of the business. Its routes come before the library's."""
    access: Access = field(default_factory=Access)
    """The scopes of its routes, and which roles have them."""
    path_rows: Mapping[str, Projection[Any]] = field(default_factory=dict)
    """The read models of which path parameters are keys, by the parameter: they say whose a path
    is (`handrail/http/path_owners.py`)."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Descriptions of OpenAPI tags by name; those of the library's tags may be replaced."""
    api_examples: ApiExamples = NEUTRAL
    """What the OpenAPI document shows in the library's own operations."""
    problems: Sequence[ProblemType] = ()
    """Problem types of the HTTP API; one with the slug of a library type replaces its words."""
    rules: Mapping[type[DomainError], str] = field(default_factory=dict)
    """The slug of the problem that each broken rule of the business is to a client."""
    saga_links: Callable[[str], Mapping[str, str]] = lambda _: {}
    """Links of a saga, by its id, to what it is about."""
    console: Console = field(default_factory=Console)
    """The pages of its entities in the operator console."""
    webhooks: Callable[[], Webhooks | None] = lambda: None
    """The signed webhooks of other companies."""
    tenant_events: Sequence[type] = ()
    """The events that a tenant may have sent to webhook endpoints of its own."""
    sagas_per_tenant: Callable[[Any], int] = lambda _: 0
    """How many sagas of one tenant that asked for a place may run at the same time, from
    `settings`; 0: any number."""

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
        refuse_two("commands", self._command_names())
        self._refuse_unknown_settings()
        self._refuse_what_never_comes()
        for said in notifications.mistakes(self.messages):
            raise WronglyDeclared(said)
        for said in self.access.mistakes():
            raise WronglyDeclared(said)
        for said in roles_of(self.tables, [one.name for one in self.consumers]).mistakes():
            raise WronglyDeclared(said)
        self._refuse_unbounded_corrections()
        for said in mistakes_of_messages((*self.events, *self.commands)):
            raise WronglyDeclared(said)
        self._refuse_wrong_problems()
        self._refuse_what_no_context_has()
        models = [one.name for one in self.read_models]
        for said in self.console.mistakes(list(self.access.all_scopes), models):
            raise WronglyDeclared(said)

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
    def described(self) -> Described:
        """How the contracts of events are written."""
        return Described(self.codec, self.examples)

    def lake_views(self, plan: LakePlan) -> Views:
        """The views of every kind of event, and those of the plan."""
        return Views(self.events, self.codec, plan.views)

    @cached_property
    def offered_events(self) -> OfferedEvents:
        """The forms of events that webhook endpoints may be sent."""
        return OfferedEvents(self.tenant_events, self.codec, self.routing)

    def event_contracts(self) -> Schema:
        """The AsyncAPI document."""
        return document(self.events, self.described, self.routing, self.consumers)

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

    @cached_property
    def all_workflows(self) -> Sequence[type[Any]]:
        """What a worker of the queue `sagas` runs."""
        # It imports Temporal's SDK, which most processes do without.
        from handrail.sagas.bulk_intervention import InterveneInManyWorkflow  # noqa: PLC0415

        sagas = self.saga_types.values()
        return (
            *(one.workflow for one in sagas),
            *made(self.workflows),
            InterveneInManyWorkflow,
        )

    @cached_property
    def packages(self) -> frozenset[str]:
        """The top-level packages of its messages and workflows: a sandbox passes them through."""
        classes = (*self.events, *self.commands, *self.all_workflows)
        return frozenset(one.__module__.partition(".")[0] for one in classes)

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

    @cached_property
    def problem_types(self) -> Mapping[str, ProblemType]:
        """Those of the library and of the business, by slug."""
        return kinds_with(self.problems, self.tenant)

    @cached_property
    def rule_problems(self) -> Mapping[str, str]:
        """The problem slug of each broken rule, by the name of its class."""
        return {rule.__name__: slug for rule, slug in {**RULES, **self.rules}.items()}

    @property
    def context_names(self) -> tuple[str, ...]:
        """Those that have a task queue; that of the sagas first."""
        return (SAGAS.name, *(one.name for one in self.contexts))

    @cached_property
    def settings_type(self) -> type[Settings]:
        """The settings with the contexts that a worker may serve: what a process loads."""
        return with_contexts(self.settings, self.context_names)

    def options_of(self, settings: Any) -> RunOptions:
        """How sagas run, from `settings`, with the App's word for its tenant."""
        return replace(self.options(settings), tenant_word=self.tenant)

    def addresses_of(self, process: Literal["worker", "notifier"]) -> tuple[str, ...]:
        """The settings with the addresses of the companies that a process asks."""
        return tuple(one.address for one in self.simulators if one.asked_by == process)

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

    def _command_names(self) -> Iterable[str]:
        yield from LIBRARY_COMMANDS
        yield from (one.name for one in self.operator_commands)
        yield from (one.name for one in self.simulators)

    def _refuse_unknown_settings(self) -> None:
        for one in self.simulators:
            for name in one.settings:
                if name not in self.settings.model_fields:
                    raise WronglyDeclared(
                        f"the simulator {one.name} names the setting {name}, which"
                        f" {self.settings.__name__} does not have: add the field, or name another"
                    )

    def _refuse_wrong_problems(self) -> None:
        refuse_two("problems", (one.slug for one in self.problems))
        refuse_two("rules", (one.__name__ for one in (*RULES, *self.rules)))
        for kind in self.problems:
            ours = library_types(self.tenant).get(kind.slug, kind)
            if kind.status != ours.status:
                raise WronglyDeclared(
                    f"the problem {kind.slug} of the library has the status {ours.status}, not"
                    f" {kind.status}: keep it, or use a slug of your own"
                )
        for rule, slug in self.rules.items():
            if slug not in self.problem_types:
                raise WronglyDeclared(
                    f"the rule {rule.__name__} names the problem {slug}, which does not exist:"
                    " add it to problems"
                )
