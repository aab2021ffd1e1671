"""Proposals: what waits for a second person, and who has approved it."""

from __future__ import annotations

from fastapi import APIRouter

from handrail.http.access import needs
from handrail.http.dependencies import ServicesDep
from handrail.http.four_eyes import StoredProposal, stored
from handrail.http.problems import responses
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
    return await stored(services, proposal)
