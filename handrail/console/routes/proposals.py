"""Proposals: what a person has asked for, and a second one approves."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request, Response

from handrail.access.roles import APPROVE
from handrail.console.actions import APPROVE_PROPOSAL, offered
from handrail.console.api_calls import caught_up, second_person
from handrail.console.forms import actor_in, model_of, see
from handrail.console.rendering import page, part
from handrail.http.access import PrincipalDep, needs
from handrail.http.dependencies import ServicesDep
from handrail.http.four_eyes import StoredProposal, stored
from handrail.http.problems import Problem
from handrail.http.routes import bulk_interventions, interventions
from handrail.http.routes.bulk_intervention_request import NewInterventionInMany
from handrail.http.schemas import Id

router = APIRouter()

_IN_ONE: Final = re.compile(r"POST /sagas/([^/]+)/interventions")
_IN_MANY: Final = "POST /interventions"


@router.get("/console/proposals/{proposal}", dependencies=[needs("sagas:read")])
async def show(
    request: Request, services: ServicesDep, principal: PrincipalDep, proposal: Id
) -> Response:
    found = await stored(services, proposal)
    return await page(
        request,
        services,
        "proposal.html",
        found=found.model_dump(mode="json"),
        one=offered(
            APPROVE_PROPOSAL,
            principal,
            says=f"Does what {found.proposed_by} has proposed, in both names.",
            why_not=_why_not(found, principal.actor),
            path={"proposal": proposal, "saga": _saga(found)},
        ),
    )


@router.post("/console/proposals/{proposal}/approve", dependencies=[needs(APPROVE)])
async def approve(request: Request, services: ServicesDep, proposal: Id) -> Response:
    """The proposed request once more, by the second person."""
    found = await stored(services, proposal)
    actor = await actor_in(request)
    path = found.action.partition(" ")[2]
    second = second_person(request, services, path, key=proposal, approves=proposal)
    if saga := _saga(found):
        asked = model_of(interventions.NewIntervention, found.body)
        await interventions.intervene(
            services=services, actor=actor, key=proposal, second=second, saga=saga, asked=asked
        )
        await caught_up(services, saga)
        return see(f"/console/sagas/{part(saga)}?said=approved")
    if found.action != _IN_MANY:
        raise Problem("not-possible", _elsewhere(proposal))
    many = model_of(NewInterventionInMany, found.body)
    answer = await bulk_interventions.intervene_in_many(
        services=services, actor=actor, key=proposal, second=second, asked=many
    )
    return see(f"/console{answer.headers['location']}")


def _saga(found: StoredProposal) -> str:
    one = _IN_ONE.fullmatch(found.action)
    return one[1] if one else ""


def _why_not(found: StoredProposal, actor: str) -> str:
    if found.approved_by:
        return f"{found.approved_by} has approved it"
    if found.proposed_by == actor:
        return "you have proposed it: another person has to approve it"
    if not _saga(found) and found.action != _IN_MANY:
        return _elsewhere(found.proposal)
    return ""


def _elsewhere(proposal: str) -> str:
    return f"this is approved on the command line: handrail approve {proposal} --yes"
