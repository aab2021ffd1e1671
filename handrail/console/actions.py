"""The actions of the console: each is a button, and has a twin in the HTTP API and on the command
line (`tests/console/test_twins.py` compares the three).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from handrail.access.principal import Principal
from handrail.access.roles import APPROVE, ROLES


@dataclass(frozen=True, kw_only=True)
class Action:
    """What a button does. `post` is where its form goes, `http` the request that does the same, and
    `cli` the command; `scope` is what a principal needs for it.
    """

    name: str
    label: str
    scope: str
    post: str
    http: str
    cli: str


_INTERVENE: Final = "sagas:intervene"


def _action(name: str, label: str, scope: str, where: str, cli: str) -> Action:
    """Its form goes to the same address as the request, in the console."""
    return Action(
        name=name,
        label=label,
        scope=scope,
        post=f"/console{where}",
        http=f"POST {where}",
        cli=f"handrail {cli}",
    )


def _of_a_saga(name: str, label: str) -> Action:
    return Action(
        name=name,
        label=label,
        scope=_INTERVENE,
        post="/console/sagas/{saga}/intervene",
        http="POST /sagas/{saga}/interventions",
        cli=f"handrail sagas {name} {{saga}}",
    )


RETRY: Final = _of_a_saga("retry", "Retry")
CORRECT: Final = _of_a_saga("correct", "Correct and retry")
SKIP: Final = _of_a_saga("skip", "Skip")
RESOLVE: Final = _of_a_saga("resolve", "Resolve by hand")
COMPENSATE: Final = _of_a_saga("compensate", "Take everything back")
CANCEL: Final = Action(
    name="cancel",
    label="Cancel the saga",
    scope=_INTERVENE,
    post="/console/sagas/{saga}/cancel",
    http="POST /sagas/{saga}/cancellation",
    cli="handrail sagas cancel {saga}",
)
AGAIN: Final = Action(
    name="again",
    label="Begin the next attempt",
    scope=_INTERVENE,
    post="/console/sagas/{saga}/again",
    http="POST /sagas/{saga}/attempts",
    cli="handrail sagas again {saga}",
)


def _answer(name: str, label: str, said: str) -> Action:
    return Action(
        name=name,
        label=label,
        scope="sagas:answer",
        post="/console/sagas/{saga}/answer",
        http="POST /sagas/{saga}/answers",
        cli=f"handrail sagas answer {{saga}} {said}",
    )


ANSWER_YES: Final = _answer("answer-yes", "Say yes", "--approve")
ANSWER_NO: Final = _answer("answer-no", "Say no", "--decline")
IN_MANY: Final = _action("in-many", "Tell them all", _INTERVENE, "/interventions", "sagas {kind}")


def _of_an_intervention(name: str, label: str) -> Action:
    where = f"/interventions/{{intervention}}/{name}"
    return _action(name, label, _INTERVENE, where, f"sagas {name} {{intervention}}")


STOP: Final = _of_an_intervention("stop", "Stop")
SUSPEND: Final = _of_an_intervention("suspend", "Suspend")
RESUME: Final = _of_an_intervention("resume", "Resume")


def _of_consumers(name: str, label: str, where: str, cli: str) -> Action:
    return _action(name, label, "consumers:operate", where, cli)


RETRY_MESSAGES: Final = _of_consumers(
    "retry-messages",
    "Handle what waits",
    "/consumers/{name}/parked/{stream}/retry",
    "consumers retry {name} {stream}",
)
DISCARD_MESSAGE: Final = _of_consumers(
    "discard-message",
    "Discard the first message",
    "/consumers/{name}/parked/{stream}/discard",
    "consumers discard {name} {stream}",
)
RETRY_ROW: Final = _of_consumers(
    "retry-row",
    "Retry this row",
    "/read-models/{name}/parked/{stream}/retry",
    "projections retry {name} {stream}",
)
RETRY_ROWS: Final = _of_consumers(
    "retry-rows",
    "Retry all rows",
    "/read-models/{name}/retry",
    "projections retry {name} --all",
)
RETRY_RELAY_STREAM: Final = _of_consumers(
    "retry-relay-stream",
    "Publish this stream",
    "/relay/{exchange}/parked/{stream}/retry",
    "relay retry {exchange} {stream}",
)
RETRY_RELAY: Final = _of_consumers(
    "retry-relay", "Publish all that waits", "/relay/retry", "relay retry --all"
)


REBUILD: Final = _of_consumers(
    "rebuild",
    "Build it anew",
    "/read-models/{name}/rebuild",
    "projections rebuild {name}",
)


def _of_dead_messages(name: str, label: str, where: str, cli: str) -> Action:
    return _of_consumers(name, label, f"/broker/{{vhost}}/{{queue}}/{where}", f"topology {cli}")


REDRIVE: Final = _of_dead_messages(
    "redrive", "Redrive it", "redrive", "redrive {vhost} {queue} {message}"
)
REDRIVE_SOME: Final = _of_dead_messages(
    "redrive-some", "Redrive those that are ticked", "redrive", "redrive {vhost} {queue} {message}"
)
REDRIVE_ALL: Final = _of_dead_messages(
    "redrive-all", "Redrive all", "redrive", "redrive {vhost} {queue} --all"
)
EDIT_DEAD: Final = _of_dead_messages(
    "edit-message",
    "Redrive it with this body",
    "messages/{message}/edit",
    "edit {vhost} {queue} {message} --body body.json",
)
DISCARD_DEAD: Final = _of_dead_messages(
    "discard-dead",
    "Discard it",
    "messages/{message}/discard",
    "discard {vhost} {queue} {message}",
)
APPROVE_PROPOSAL: Final = Action(
    name="approve",
    label="Approve, and do it",
    scope=APPROVE,
    post="/console/proposals/{proposal}/approve",
    http="POST /sagas/{saga}/interventions",
    cli="handrail approve {proposal}",
)
ACTIONS: Final[Sequence[Action]] = (
    *(RETRY, CORRECT, SKIP, RESOLVE, COMPENSATE, CANCEL, AGAIN),
    *(ANSWER_YES, ANSWER_NO),
    *(IN_MANY, STOP, SUSPEND, RESUME, RETRY_MESSAGES, DISCARD_MESSAGE, APPROVE_PROPOSAL),
    *(RETRY_ROW, RETRY_ROWS, RETRY_RELAY_STREAM, RETRY_RELAY),
    REBUILD,
    *(REDRIVE, REDRIVE_SOME, REDRIVE_ALL, EDIT_DEAD, DISCARD_DEAD),
)
INTERVENTIONS: Final[Mapping[str, Action]] = {
    one.name: one for one in (RETRY, CORRECT, SKIP, RESOLVE, COMPENSATE)
}
"""By their kinds."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A button on a page: what it will do here, said before it is pressed, and its twins.

    `why_not` is why it cannot be pressed; empty: it can. `fields` go with the form, and `cli` is
    the command without its reason.
    """

    action: Action
    says: str
    why_not: str
    address: str
    http: str
    cli: str
    fields: Mapping[str, str] = field(default_factory=dict)
    wants: Sequence[str] = ()
    """What a person adds beside the reason: `evidence`, `happened`."""


def offered(
    action: Action,
    principal: Principal,
    *,
    says: str,
    why_not: str = "",
    path: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
    wants: Sequence[str] = (),
) -> Offer:
    """The button for this principal. `path` fills the addresses, `options` the command line."""
    path = path or {}
    command = action.cli.format_map({name: shlex.quote(one) for name, one in path.items()})
    for name, value in (options or {}).items():
        command += f" --{name} {shlex.quote(value)}" if value else ""
    return Offer(
        action=action,
        says=says,
        why_not=_lacking(action, principal) or why_not,
        address=action.post.format_map(path),
        http=action.http.format_map(path),
        cli=command,
        fields=fields or {},
        wants=wants,
    )


def _lacking(action: Action, principal: Principal) -> str:
    if action.scope in principal.scopes:
        return ""
    roles = " or ".join(role for role, scopes in ROLES.items() if action.scope in scopes)
    return f"you have not the scope {action.scope}, which the role {roles} has"
