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
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from handrail.catalogue import Catalogue, Context, Parts, made
from handrail.console.declared import Console
from handrail.errors import DomainError
from handrail.http.api_examples import NEUTRAL, ApiExamples
from handrail.http.problem_kinds import RULES, kinds_with, library_types
from handrail.http.problem_types import ProblemType
from handrail.lake.plan import LakePlan, Views
from handrail.messaging.contracts.asyncapi import document
from handrail.messaging.contracts.examples import Examples
from handrail.messaging.contracts.schemas import Described, Schema
from handrail.notifications import kinds as notifications
from handrail.notifications.kinds import MessageKinds
from handrail.run_options import run_options
from handrail.sagas.options import RunOptions
from handrail.sagas.shapes import SagaShapes
from handrail.settings import Settings, with_contexts
from handrail.simulators.simulator import Simulator
from handrail.wrongly_declared import WronglyDeclared, refuse_two

if TYPE_CHECKING:
    from fastapi import APIRouter

    from handrail.activities.resources import Resources
    from handrail.http.webhook_sources import Webhooks
    from handrail.temporal.client import Activities
    from handrail.verify.verification import Verification

__all__ = ["LIBRARY_COMMANDS", "App", "Context", "OperatorCommand", "WronglyDeclared"]


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


def _no_activities(_: Resources) -> Activities:
    return {}


@dataclass(frozen=True, kw_only=True)
class App(Catalogue):
    """A business as Handrail runs it: its catalogue, and what its processes do with that.

    Raises WronglyDeclared, or ValueError where two messages have one name.
    """

    workflows: Parts[type[Any]] = ()
    """Processes around sagas: workflows without a stream of their own; a function, likewise."""
    lake: Callable[[], LakePlan] = LakePlan
    """What the lake has beside the events. A function, for only `handrail lake` needs it."""
    messages: MessageKinds = field(default_factory=lambda: MessageKinds.of((), {}))
    """What the notifier sends beside campaigns."""
    examples: Examples = field(default_factory=Examples)
    """What the contracts of events show."""
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
    routers: Callable[[], Sequence[APIRouter]] = tuple
    """The HTTP API of the business. Its routes come before the library's."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Descriptions of OpenAPI tags by name; those of the library's tags may be replaced."""
    api_examples: ApiExamples = NEUTRAL
    """What the OpenAPI document shows in the library's own operations."""
    problems: Sequence[ProblemType] = ()
    """Problem types of the HTTP API; one with the slug of a library type replaces its words."""
    rules: Mapping[type[DomainError], str] = field(default_factory=dict)
    """The slug of the problem that each broken rule of the business is to a client."""
    console: Console = field(default_factory=Console)
    """The pages of its entities in the operator console."""
    webhooks: Callable[[], Webhooks | None] = lambda: None
    """The signed webhooks of other companies."""
    sagas_per_tenant: Callable[[Any], int] = lambda _: 0
    """How many sagas of one tenant that asked for a place may run at the same time, from
    `settings`; 0: any number."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_two("commands", self._command_names())
        self._refuse_unknown_settings()
        for said in notifications.mistakes(self.messages):
            raise WronglyDeclared(said)
        self._refuse_wrong_problems()
        models = [one.name for one in self.read_models]
        for said in self.console.mistakes(list(self.access.all_scopes), models):
            raise WronglyDeclared(said)

    @cached_property
    def described(self) -> Described:
        """How the contracts of events are written."""
        return Described(self.codec, self.examples)

    def lake_views(self, plan: LakePlan) -> Views:
        """The views of every kind of event, and those of the plan."""
        return Views(self.events, self.codec, plan.views)

    def event_contracts(self) -> Schema:
        """The AsyncAPI document."""
        return document(self.events, self.described, self.routing, self.consumers)

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

    @cached_property
    def problem_types(self) -> Mapping[str, ProblemType]:
        """Those of the library and of the business, by slug."""
        return kinds_with(self.problems, self.tenant)

    @cached_property
    def rule_problems(self) -> Mapping[str, str]:
        """The problem slug of each broken rule, by the name of its class."""
        return {rule.__name__: slug for rule, slug in {**RULES, **self.rules}.items()}

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
