"""The buttons of a saga's page: what can be done with it now, and why the rest cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handrail.access.principal import Principal
from handrail.console import actions
from handrail.console.actions import INTERVENTIONS, Offer, offered
from handrail.console.choices import KINDS, Choice, choices
from handrail.console.saga_view import SagaView
from handrail.http.dependencies import Services
from handrail.sagas.definition import Saga


@dataclass(frozen=True, kw_only=True)
class StepOffers:
    """Those for a step that waits."""

    step: str
    kind: str
    direction: str
    cause: str
    since: str
    until: str
    offers: Sequence[Offer]


@dataclass(frozen=True, kw_only=True)
class SagaOffers:
    """`waiting` are the steps that wait, each with its buttons; `whole` those for the saga."""

    waiting: Sequence[StepOffers]
    whole: Sequence[Offer]


def offers_of(
    services: Services,
    principal: Principal,
    saga: Saga,
    view: SagaView,
    found: Mapping[str, Any],
    *,
    key: str,
) -> SagaOffers:
    """`found` is the saga as the API shows it. By `key` a form sent twice is one request."""
    id_ = found["saga"]
    waiting = [
        StepOffers(
            step=one["step"],
            kind=one["kind"],
            direction=one["direction"],
            cause=one["cause"],
            since=one["since"],
            until=one["until"] or "",
            offers=_for_step(services, principal, saga, view, one, id_=id_, key=key),
        )
        for one in found["waiting"]
    ]
    return SagaOffers(waiting=waiting, whole=_for_saga(principal, view, found))


def _for_step(
    services: Services,
    principal: Principal,
    saga: Saga,
    view: SagaView,
    waiting: Mapping[str, Any],
    *,
    id_: str,
    key: str,
) -> Sequence[Offer]:
    name, direction = waiting["step"], waiting["direction"]
    if waiting["kind"] == "awaiting":
        return _answers(principal, view, id_, name, key=key)
    step = view.step(name)
    if step is None:
        said = f"this release does not know the step {name}: the saga is of another one"
        found: Sequence[Choice] = [Choice(kind, said, said) for kind in KINDS]
    else:
        found = choices(saga, view, step, direction, correctable_of(saga, name, direction))
    return [
        offered(
            INTERVENTIONS[one.kind],
            principal,
            says=one.says + _by_two(services, one.kind),
            why_not=one.why_not,
            path={"saga": id_},
            options={"step": name},
            fields={"kind": one.kind, "step": name, "id": f"{key}-{name[:20]}-{one.kind}"},
            wants={"skip": ["evidence"], "resolve": ["evidence", "happened"]}.get(one.kind, ()),
        )
        for one in found
    ]


def _by_two(services: Services, kind: str) -> str:
    if not services.four_eyes or kind == "retry":
        return ""
    return " A second person has to approve it first."


def _answers(
    principal: Principal, view: SagaView, id_: str, name: str, *, key: str
) -> Sequence[Offer]:
    step = view.step(name)
    no = f": {step.explained.refused}" if step else ""
    return [
        offered(
            action,
            principal,
            says=says,
            path={"saga": id_},
            options={"step": name},
            fields={"approved": approved, "step": name, "id": f"{key}-{approved}"},
        )
        for action, approved, says in (
            (actions.ANSWER_YES, "true", f"{name} is done, and the saga goes on."),
            (actions.ANSWER_NO, "false", f"{name} is refused{no}."),
        )
    ]


def correctable_of(saga: Saga, step: str, direction: str) -> Sequence[str]:
    """The fields of the command that may be corrected, of a step or of what takes it back."""
    for one in (*(one for group in saga.groups for one in group),):
        if one.name == step:
            command = one.undo if direction == "undo" else one.do
            return sorted(type(command).field_policy.correctable)
    others = (saga.pivot_step, *(one for group in saga.retriable_groups for one in group))
    found = [type(one.do).field_policy.correctable for one in others if one.name == step]
    return sorted(found[0]) if found else ()


def _for_saga(principal: Principal, view: SagaView, found: Mapping[str, Any]) -> Sequence[Offer]:
    path = {"saga": found["saga"]}
    back = ", ".join(view.to_take_back)
    return [
        offered(
            actions.CANCEL,
            principal,
            says=(
                f"Takes back {back}, the newest first, and ends the saga."
                if back
                else "Ends the saga: nothing of it is done yet."
            ),
            why_not=_why_not_cancel(view, found),
            path=path,
        ),
        offered(
            actions.AGAIN,
            principal,
            says="Begins a new attempt with the same input. It first takes back what earlier ones"
            " left. It is refused while a workflow of the saga runs.",
            why_not=_why_not_again(found),
            path=path,
        ),
    ]


def _why_not_cancel(view: SagaView, found: Mapping[str, Any]) -> str:
    if found["ended_at"]:
        return f"the saga is {found['status']}"
    if found["status"] == "compensating" or found["direction"] == "undo":
        return "it is being taken back already"
    pivot = view.step(view.pivot)
    if pivot is not None and pivot.state not in {"to come", "not asked"}:
        return f"{view.pivot} was asked already: after that there is no way back"
    return ""


def _why_not_again(found: Mapping[str, Any]) -> str:
    if found["ended_at"]:
        return f"the saga is {found['status']}: nothing of it is left to do"
    if found["status"] in {"parked", "awaiting"}:
        return "the attempt goes on: it waits for what is offered above"
    return ""
