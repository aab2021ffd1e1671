"""`handrail sagas`: what an operator does with sagas, through the HTTP API."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from uuid import uuid4

import orjson
from cyclopts import App, Parameter
from rich.console import Console

from handrail import bounds
from handrail.cli import bulk
from handrail.cli.api_client import Api, Away, Refused, api_url
from handrail.cli.bounded_options import within
from handrail.cli.bulk import Result
from handrail.cli.explain import diagram_of, explain_type, find_type, list_types
from handrail.cli.figure_tables import show_figures
from handrail.cli.options import Json, Wide
from handrail.cli.saga_tables import show_saga, show_sagas
from handrail.load_app import load_settings, the_app
from handrail.terminal_tables import terminal

sagas = App(name="sagas", help="Look at sagas, and put right those that wait for a person.")

USAGE: Final = 2
_STILL_GOING: Final = ("running", "compensating", "awaiting", "parked")

SagaId = Annotated[str | None, Parameter(help="The saga. Without one: all that the filters mean.")]
Evidence = Annotated[str, Parameter(help="What it rests on: a ticket, a number, who said so.")]
Tenant = Annotated[str | None, Parameter(help="The tenant.")]
"""An option that has the App's word as its name: `handrail/cli/app_commands.py`."""
Status = Literal[
    "running", "compensating", "awaiting", "parked", "completed", "refused", "compensated"
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Why:
    """Who steps in, and why."""

    reason: Annotated[
        str,
        Parameter(help="Why: it is stored with what it causes.", validator=within(bounds.REASON)),
    ]
    actor: Annotated[
        str | None,
        Parameter(
            help="Who. Without: who is signed in, or else the login name.",
            validator=within(bounds.ACTOR),
        ),
    ] = None

    def said(self) -> dict[str, Any]:
        """What a request says of it. Without an actor, the API takes the caller's name."""
        return {"reason": self.reason, "actor": self.actor}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class SagaSelection:
    """Which step of a saga or, without a saga, which sagas."""

    step: Annotated[str | None, Parameter(help="The step that waits.")] = None
    type: Annotated[str | None, Parameter(help="The type of saga.")] = None
    tenant: Tenant = None
    failure: Annotated[str | None, Parameter(help="A text within the cause.")] = None
    older_than: Annotated[int | None, Parameter(help="Waiting for so many seconds.")] = None
    per_second: Annotated[int, Parameter(help="How many sagas are told in a second.")] = 10
    dry_run: Annotated[
        bool, Parameter(negative="", help="Only show which sagas would be told.")
    ] = False
    wide: Wide = False

    @property
    def filter(self) -> dict[str, Any]:
        named = {
            "saga_type": self.type,
            "step": self.step,
            the_app().tenant: self.tenant,
            "failure": self.failure,
            "older_than_seconds": self.older_than,
        }
        return {name: value for name, value in named.items() if value is not None}

    def misused(self, saga: str | None) -> str | None:
        """What is wrong with how a saga and filters were named, if something is."""
        others = self.filter.keys() - {"step"}
        if saga is not None and (others or self.dry_run):
            return "name one saga, or filters; of one saga only --step can be said"
        if saga is None and not self.filter:
            return "name a saga, or at least one filter: see --help"
        return None


_ANY: Final = SagaSelection()


@sagas.command(name="list")
def list_sagas(
    *,
    status: Status | None = None,
    type: Annotated[str | None, Parameter(help="The type of saga.")] = None,  # noqa: A002  # as on the command line
    tenant: Tenant = None,
    step: str | None = None,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """List sagas, newest first."""

    def work(api: Api, console: Console) -> Result:
        asked = {
            "status": status,
            "saga_type": type,
            the_app().tenant: tenant,
            "step": step,
        }
        found = list(api.items("/sagas", **asked))
        show_sagas(console, found)
        return 0, {"sagas": found}

    return run_with_api(work, json=json, wide=wide)


@sagas.command
def show(saga: str, *, wide: Wide = False, json: Json = False) -> int:
    """Show how a saga stands, what it waits for, and its timeline."""

    def work(api: Api, console: Console) -> Result:
        found = api.get(f"/sagas/{saga}")
        show_saga(console, found)
        return 0, {"saga": found}

    return run_with_api(work, json=json, wide=wide)


@sagas.command
def figures(*, wide: Wide = False, json: Json = False) -> int:
    """Show how many sagas of each type there are, how they ended, and how long they took."""

    def work(api: Api, console: Console) -> Result:
        found = api.get("/sagas/figures")
        show_figures(console, found["types"])
        return 0, found

    return run_with_api(work, json=json, wide=wide)


@sagas.command
def retry(saga: SagaId = None, *, why: Why, which: SagaSelection = _ANY, json: Json = False) -> int:
    """Ask a parked step again."""
    return _intervene("retry", saga, why, which, json=json)


@sagas.command
def correct(
    saga: SagaId = None,
    *,
    why: Why,
    set: Annotated[  # noqa: A002  # as on the command line
        list[str], Parameter(negative="", help="field=value; JSON, or else taken as text.")
    ],
    which: SagaSelection = _ANY,
    json: Json = False,
) -> int:
    """Ask a parked step again, with other input."""
    fields = dict(one.partition("=")[::2] for one in set)
    if not all("=" in one for one in set):
        return _misuse("--set takes field=value")
    correction = {name: _value(text) for name, text in fields.items()}
    return _intervene("correct", saga, why, which, json=json, correction=correction)


@sagas.command
def skip(
    saga: SagaId = None,
    *,
    why: Why,
    evidence: Evidence,
    which: SagaSelection = _ANY,
    json: Json = False,
) -> int:
    """Go on without a parked step: a duty after the pivot, or a compensation."""
    return _intervene("skip", saga, why, which, json=json, evidence=evidence)


@sagas.command
def resolve(
    saga: SagaId = None,
    *,
    why: Why,
    evidence: Evidence,
    not_happened: Annotated[
        bool, Parameter(negative="", help="It was found out that it did not happen.")
    ] = False,
    which: SagaSelection = _ANY,
    json: Json = False,
) -> int:
    """Say of a parked step that it was done by hand, or that it certainly did not happen."""
    told = {"evidence": evidence, "happened": not not_happened}
    return _intervene("resolve", saga, why, which, json=json, **told)


@sagas.command
def compensate(
    saga: SagaId = None, *, why: Why, which: SagaSelection = _ANY, json: Json = False
) -> int:
    """Take everything back, where a step before or at the pivot is parked."""
    return _intervene("compensate", saga, why, which, json=json)


@sagas.command
def cancel(
    saga: SagaId = None, *, why: Why, which: SagaSelection = _ANY, json: Json = False
) -> int:
    """Take everything back, until the pivot was asked."""

    def tell(api: Api, one: str) -> Any:
        return api.post(f"/sagas/{one}/cancellation", why.said())

    return _tell(tell, saga, which, ("running", "awaiting", "parked"), json=json)


@sagas.command
def answer(
    saga: SagaId = None,
    *,
    why: Why,
    approve: Annotated[
        bool, Parameter(name="--approve", negative="--decline", help="Say yes, or say no.")
    ],
    which: SagaSelection = _ANY,
    json: Json = False,
) -> int:
    """Answer a step that waits for a person."""

    def tell(api: Api, one: str) -> Any:
        body = {**why.said(), "id": uuid4().hex, "approved": approve, "step": which.step}
        return api.post(f"/sagas/{one}/answers", body)

    return _tell(tell, saga, which, ("awaiting",), json=json)


@sagas.command
def again(saga: SagaId = None, *, why: Why, which: SagaSelection = _ANY, json: Json = False) -> int:
    """Begin the next attempt at a saga whose workflow failed, was terminated or timed out."""

    def tell(api: Api, one: str) -> Any:
        return api.post(f"/sagas/{one}/attempts", why.said())

    return _tell(tell, saga, which, _STILL_GOING, json=json)


@sagas.command
def stop(intervention: str, *, why: Why, json: Json = False) -> int:
    """Stop an intervention in many sagas: those not told yet are left alone."""

    def work(api: Api, console: Console) -> Result:
        said = api.post(f"/interventions/{intervention}/stop", why.said())
        console.print(f"{intervention} is stopping")
        return 0, said

    return run_with_api(work, json=json)


@sagas.command
def suspend(intervention: str, *, why: Why, json: Json = False) -> int:
    """Suspend an intervention in many sagas: no more are told until it is resumed."""
    return _pause(intervention, "suspend", why, json=json)


@sagas.command
def resume(intervention: str, *, why: Why, json: Json = False) -> int:
    """Resume an intervention in many sagas: those not told yet are told."""
    return _pause(intervention, "resume", why, json=json)


def _pause(intervention: str, what: str, why: Why, *, json: bool) -> int:
    def work(api: Api, console: Console) -> Result:
        said = api.post(f"/interventions/{intervention}/{what}", why.said())
        console.print(f"{intervention} is {said['status']}")
        return 0, said

    return run_with_api(work, json=json)


@sagas.command
def explain(
    type: Annotated[str | None, Parameter(help="Without one: which there are.")] = None,  # noqa: A002  # as on the command line
    *,
    mermaid: Annotated[
        bool, Parameter(negative="", help="Print the diagram as Mermaid, for documents.")
    ] = False,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """Explain a type of saga: its steps, the way back, and what happens when one goes wrong."""
    console, types = terminal(json=json, wide=wide), the_app().saga_types
    if type is None:
        _print(list_types(console, types), json=json)
        return 0
    found = find_type(types, type)
    if found is None:
        return USAGE
    _print(explain_type(console, found, as_mermaid=mermaid), json=json)
    return 0


@sagas.command
def diagram(type: str) -> int:  # noqa: A002  # as on the command line
    """Print a type of saga for a document: the diagram in Mermaid, and the table of its steps."""
    found = find_type(the_app().saga_types, type)
    if found is None:
        return USAGE
    print(diagram_of(found.example()))
    return 0


def _intervene(
    kind: str, saga: str | None, why: Why, which: SagaSelection, *, json: bool, **how: Any
) -> int:
    if misused := which.misused(saga):
        return _misuse(misused)
    told = {"kind": kind, **why.said(), **how}

    def one(api: Api, console: Console) -> Result:
        body = {**told, "id": uuid4().hex, "step": which.step}
        said = api.post(f"/sagas/{saga}/interventions", body)
        console.print(f"{saga} goes on: {kind}")
        return 0, said

    def all_of_them(api: Api, console: Console) -> Result:
        body = {**told, "filter": which.filter, "per_second": which.per_second}
        return bulk.intervene(api, console, body, dry_run=which.dry_run)

    return run_with_api(all_of_them if saga is None else one, json=json, wide=which.wide)


def _tell(
    tell: Callable[[Api, str], Any],
    saga: str | None,
    which: SagaSelection,
    statuses: tuple[str, ...],
    *,
    json: bool,
) -> int:
    if misused := which.misused(saga):
        return _misuse(misused)

    def one(api: Api, console: Console) -> Result:
        assert saga is not None
        said = tell(api, saga)
        console.print(f"{saga}: accepted")
        return 0, said

    def all_of_them(api: Api, console: Console) -> Result:
        found = bulk.matching(
            api,
            statuses,
            older_than=which.older_than,
            failure=which.failure,
            saga_type=which.type,
            step=which.step,
            **{the_app().tenant: which.tenant},
        )
        return bulk.one_by_one(
            console,
            found,
            lambda one: tell(api, one),
            per_second=which.per_second,
            dry_run=which.dry_run,
        )

    return run_with_api(all_of_them if saga is None else one, json=json, wide=which.wide)


def run_with_api(work: Callable[[Api, Console], Result], *, json: bool, wide: bool = False) -> int:
    """0 where it was done, 1 where it was refused or failed."""
    settings = load_settings()
    try:
        with Api(api_url(settings), settings.current("api_token")) as api:
            code, said = work(api, terminal(json=json, wide=wide))
    except Refused as no:
        print(no, file=sys.stderr)
        _print({"problem": no.slug, "detail": str(no)}, json=json)
        return 1
    except Away as away:
        print(away, file=sys.stderr)
        return 1
    _print(said, json=json)
    return code


def _print(said: dict[str, Any], *, json: bool) -> None:
    if json:
        print(orjson.dumps(said).decode(), flush=True)


def _misuse(said: str) -> int:
    print(said, file=sys.stderr)
    return USAGE


def _value(text: str) -> Any:
    """JSON where it is JSON: a number, an object, a quoted text; and otherwise the text itself."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
