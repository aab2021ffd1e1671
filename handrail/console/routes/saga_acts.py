"""Acting on a saga: forms that do what the requests of the HTTP API do, by the same functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import uuid4

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_jsonable_python

from handrail.console.actions import CORRECT, offered
from handrail.console.api_calls import caught_up, second_person
from handrail.console.forms import actor_in, form_of, model_of, see
from handrail.console.rendering import page, part
from handrail.http.access import PrincipalDep, needs
from handrail.http.dependencies import ServicesDep
from handrail.http.four_eyes import Proposed
from handrail.http.routes import interventions as api
from handrail.http.schemas import Name, SagaId
from handrail.http.temporal_errors import query_workflow
from handrail.kernel import Command

router = APIRouter()

_FIELD: Final = "field."
_WAS: Final = "was."


@router.post("/console/sagas/{saga}/intervene", dependencies=[needs("sagas:intervene")])
async def intervene(request: Request, services: ServicesDep, saga: SagaId) -> Response:
    form = await form_of(request)
    asked = model_of(api.NewIntervention, _intervention(form))
    try:
        await api.intervene(
            services=services,
            actor=await actor_in(request),
            key=None,
            second=second_person(request, services, f"/sagas/{saga}/interventions", key=asked.id),
            saga=saga,
            asked=asked,
        )
    except Proposed as proposed:
        return see(f"/console/proposals/{proposed.proposal}")
    await caught_up(services, saga)
    return see(f"/console/sagas/{part(saga)}?said={asked.kind}")


@router.get("/console/sagas/{saga}/correct", dependencies=[needs("sagas:read")])
async def ask_for_correction(
    *,
    request: Request,
    services: ServicesDep,
    principal: PrincipalDep,
    saga: SagaId,
    step: Annotated[Name, Query()],
) -> Response:
    """Asks the workflow for the command that is parked: it needs a worker."""
    command: Command = await query_workflow(
        services.processes.client, saga, "parked_command", step, of=services.app.saga_types
    )
    opened = await services.personal.open(command)
    correctable = type(command).field_policy.correctable
    values = to_jsonable_python(opened, by_alias=False)
    id_ = f"{uuid4().hex}-correct"
    two = " A second person has to approve it first." if services.four_eyes else ""
    return await page(
        request,
        services,
        "correct.html",
        saga=saga,
        step=step,
        command=type(command).__name__,
        fields=[
            {
                "name": name,
                "may": name in correctable,
                "value": value if isinstance(value, str) else orjson.dumps(value).decode(),
                "was": orjson.dumps(value).decode(),
            }
            for name, value in values.items()
        ],
        one=offered(
            CORRECT,
            principal,
            says=f"Asks {type(command).__name__} again, with the fields that you change.{two}",
            why_not="" if correctable else "no field of its input may be corrected",
            path={"saga": saga},
            options={"step": step, "set": "field=value"},
            fields={"kind": "correct", "step": step, "id": id_},
        ),
    )


@router.post("/console/sagas/{saga}/answer", dependencies=[needs("sagas:answer")])
async def answer(request: Request, services: ServicesDep, saga: SagaId) -> Response:
    form = dict(await form_of(request))
    asked = model_of(api.NewAnswer, {**form, "approved": form.get("approved") == "true"})
    await api.answer(services, await actor_in(request), None, saga, asked)
    await caught_up(services, saga)
    return see(f"/console/sagas/{part(saga)}?said=answered")


@router.post("/console/sagas/{saga}/cancel", dependencies=[needs("sagas:intervene")])
async def cancel(request: Request, services: ServicesDep, saga: SagaId) -> Response:
    asked = model_of(api.NewCancellation, await form_of(request))
    await api.cancel(services, await actor_in(request), saga, asked)
    await caught_up(services, saga)
    return see(f"/console/sagas/{part(saga)}?said=cancel")


@router.post("/console/sagas/{saga}/again", dependencies=[needs("sagas:intervene")])
async def again(request: Request, services: ServicesDep, saga: SagaId) -> Response:
    asked = model_of(api.NewAttempt, await form_of(request))
    await api.attempt(services, await actor_in(request), saga, asked)
    return see(f"/console/sagas/{part(saga)}?said=again")


def _intervention(form: Mapping[str, str]) -> dict[str, Any]:
    """The body of the API's request; of a correction only the fields that were changed."""
    fields: dict[str, Any] = {
        name: value for name, value in form.items() if not name.startswith((_FIELD, _WAS))
    }
    if "happened" in fields:
        fields["happened"] = fields["happened"] == "true"
    if fields.get("kind") == "correct":
        fields["correction"] = _correction(form)
    return fields


def _correction(form: Mapping[str, str]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for name, value in form.items():
        if not name.startswith(_FIELD):
            continue
        field = name.removeprefix(_FIELD)
        was = _json(form.get(f"{_WAS}{field}", "null"))
        now = value if isinstance(was, str) else _json(value)
        if now != was:
            changed[field] = now
    return changed


def _json(text: str) -> Any:
    """JSON where it is JSON, and otherwise the text itself: the command says what is wrong."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
