"""Interventions in many sagas: which are meant, what is at stake, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import APIRouter, Query, Request, Response

from handrail.access.principal import Principal
from handrail.console.actions import IN_MANY, RESUME, STOP, SUSPEND, Offer, offered
from handrail.console.api_calls import second_person
from handrail.console.choices import KINDS
from handrail.console.forms import actor_in, form_of, model_of, see
from handrail.console.rendering import page, part
from handrail.http.access import PrincipalDep, needs
from handrail.http.consistency import FreshnessDep
from handrail.http.dependencies import Services, ServicesDep
from handrail.http.four_eyes import Proposed
from handrail.http.pagination import PastPageQuery
from handrail.http.problems import Problem
from handrail.http.routes import bulk_interventions as api
from handrail.http.routes.bulk_intervention_request import Filter, NewInterventionInMany
from handrail.http.schemas import Id

router = APIRouter()

_FILTERS: Final = ("saga_type", "step", "failure", "tenant", "older_than_seconds")
_SAYS: Final[Mapping[str, str]] = {
    "retry": "Asks the parked step of each again, with the same input.",
    "skip": "Goes on without the parked step of each; before the pivot each saga refuses that.",
    "resolve": "Takes your word for each that its parked step was done by hand, or did not happen.",
    "compensate": "Takes everything back in each; after the pivot each saga refuses that.",
}


@router.get("/console/interventions", dependencies=[needs("sagas:read")])
async def list_interventions(
    request: Request,
    services: ServicesDep,
    fresh: FreshnessDep,
    query: Annotated[PastPageQuery, Query()],
) -> Response:
    found = await api.list_interventions(services, fresh, Response(), query)
    return await page(
        request,
        services,
        "interventions.html",
        items=[one.model_dump(mode="json") for one in found.items],
        next=found.next and f"/console{found.next}",
        types=list(services.app.saga_types),
        tenant_word=services.app.tenant,
    )


@router.get("/console/interventions/new", dependencies=[needs("sagas:read")])
async def look(
    *,
    request: Request,
    services: ServicesDep,
    principal: PrincipalDep,
    which: Annotated[Filter, Query()],
) -> Response:
    """A dry run, by the function of the API: all that match, and not those that are shown."""
    named = {name: value for name, value in which.model_dump().items() if value is not None}
    if not named:
        raise Problem("invalid-request", "say which sagas are meant, by at least one filter")
    found = await api.dry_run(services, which)
    key = uuid4().hex
    fields = {name: str(value) for name, value in named.items()}
    offers = [
        _offer(services, principal, kind, count=found.count, fields=fields, key=key)
        for kind in KINDS
        if kind in _SAYS
    ]
    return await page(
        request,
        services,
        "many.html",
        found=found.model_dump(mode="json"),
        which={name: fields.get(name, "") for name in _FILTERS},
        types=list(services.app.saga_types),
        tenant_word=services.app.tenant,
        offers=offers,
    )


def _offer(
    services: Services,
    principal: Principal,
    kind: str,
    *,
    count: int,
    fields: Mapping[str, str],
    key: str,
) -> Offer:
    two = " A second person has to approve it first." if services.four_eyes else ""
    shown = {"type": "saga_type", "step": "step", "failure": "failure"}
    options = {option: fields.get(name, "") for option, name in shown.items()}
    options[services.app.tenant] = fields.get("tenant", "")
    options["older-than"] = fields.get("older_than_seconds", "")
    return offered(
        IN_MANY,
        principal,
        says=_SAYS[kind] + ("" if kind == "retry" else two),
        why_not="" if count else "no parked saga matches",
        path={"kind": kind},
        options=options,
        fields={**fields, "kind": kind, "id": f"{key}-{kind}"},
        wants={"skip": ["evidence"], "resolve": ["evidence", "happened"]}.get(kind, ()),
    )


@router.post("/console/interventions", dependencies=[needs("sagas:intervene")])
async def begin(request: Request, services: ServicesDep) -> Response:
    form = await form_of(request)
    key = form.get("id")
    body: dict[str, Any] = {
        name: value for name, value in form.items() if name not in {"id", *_FILTERS}
    }
    if "happened" in body:
        body["happened"] = body["happened"] == "true"
    which = {name: form[name] for name in _FILTERS if name in form}
    asked = model_of(NewInterventionInMany, {**body, "filter": which, "dry_run": False})
    second = second_person(request, services, "/interventions", key=key)
    try:
        answer = await api.intervene_in_many(
            services=services,
            actor=await actor_in(request),
            key=key,
            second=second,
            asked=asked,
        )
    except Proposed as proposed:
        return see(f"/console/proposals/{proposed.proposal}")
    return see(f"/console{answer.headers['location']}")


@router.get("/console/interventions/{intervention}", dependencies=[needs("sagas:read")])
async def show(
    *,
    request: Request,
    services: ServicesDep,
    fresh: FreshnessDep,
    principal: PrincipalDep,
    intervention: Id,
    query: Annotated[api.ItemsQuery, Query()],
) -> Response:
    try:
        found = await api.show_intervention(services, fresh, intervention)
    except Problem as problem:
        if problem.slug != "read-model-behind":
            raise
        return await page(request, services, "batch_begins.html", intervention=intervention)
    items = await api.list_items(services, Response(), intervention, query)
    outcomes = await api.show_outcomes(services, intervention)
    path = {"intervention": intervention}
    ended = found.state in {"stopped", "finished"}
    suspended = found.state == "suspended"
    stop = offered(
        STOP,
        principal,
        says="Tells no more sagas: those that were told stay told, the others are left alone.",
        why_not=f"it is {found.state}" if ended else "",
        path=path,
    )
    pause = offered(
        SUSPEND,
        principal,
        says="Tells no more sagas until it is resumed; those that were told stay told.",
        why_not=f"it is {found.state}" if ended or suspended else "",
        path=path,
    )
    resume = offered(
        RESUME,
        principal,
        says=f"Goes on with the {found.remaining} sagas that were not told yet.",
        why_not="" if suspended else f"it is {found.state}",
        path=path,
    )
    return await page(
        request,
        services,
        "batch.html",
        batch=found.model_dump(mode="json"),
        items=[one.model_dump(mode="json") for one in items.items],
        outcomes=outcomes.counts,
        next=items.next and _next(intervention, items.next),
        status=query.status or "",
        offers={"Suspend it": pause, "Go on": resume, "End it early": stop},
    )


@router.post("/console/interventions/{intervention}/stop", dependencies=[needs("sagas:intervene")])
async def stop(request: Request, services: ServicesDep, intervention: Id) -> Response:
    asked = model_of(api.NewStop, await form_of(request))
    await api.stop(services, await actor_in(request), intervention, asked)
    return see(f"/console/interventions/{part(intervention)}")


@router.post(
    "/console/interventions/{intervention}/suspend", dependencies=[needs("sagas:intervene")]
)
async def suspend(request: Request, services: ServicesDep, intervention: Id) -> Response:
    asked = model_of(api.NewPause, await form_of(request))
    await api.suspend(services, await actor_in(request), intervention, asked)
    return see(f"/console/interventions/{part(intervention)}")


@router.post(
    "/console/interventions/{intervention}/resume", dependencies=[needs("sagas:intervene")]
)
async def resume(request: Request, services: ServicesDep, intervention: Id) -> Response:
    asked = model_of(api.NewPause, await form_of(request))
    await api.resume(services, await actor_in(request), intervention, asked)
    return see(f"/console/interventions/{part(intervention)}")


def _next(intervention: str, address: str) -> str:
    return f"/console/interventions/{part(intervention)}?{address.partition('?')[2]}"
