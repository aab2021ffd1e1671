"""Proposals: what waits for a second person, and who has approved it."""

from __future__ import annotations

from fastapi import APIRouter

from handrail.http.access import needs
from handrail.http.dependencies import ServicesDep
from handrail.http.four_eyes import StoredProposal, stored
from handrail.http.problems import responses
from handrail.http.routes.bulk_intervention_request import IN_MANY, as_sent
from handrail.http.schemas import Id

router = APIRouter(tags=["audit"])


@router.get(
    "/proposals/{proposal}",
    summary="What was proposed, and whether it is approved",
    dependencies=[needs("sagas:read")],
    responses=responses("not-found", "database-unavailable"),
)
async def show_proposal(services: ServicesDep, proposal: Id) -> StoredProposal:
    """A second person approves it by sending the proposed request with `Handrail-Approves`."""
    found = await stored(services, proposal)
    if found.action == IN_MANY:
        return found.model_copy(update={"body": as_sent(found.body, services.app.tenant)})
    return found
