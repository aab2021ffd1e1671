"""Four eyes: what one person asks for is done once a second one approves.

The first request is stored as a proposal, and answered 202 with the proposal's id. The second
person sends the same request with the header `Handrail-Approves`, which names the proposal; then it
is approved and done, in both names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import uuid4

import orjson
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from handrail import bounds
from handrail.access.principal import Principal
from handrail.access.roles import APPROVE
from handrail.http import stream_reader
from handrail.http.access import APPROVES, principal_of, refuse_without
from handrail.http.actor_name import ActorName
from handrail.http.dependencies import Services, ServicesDep
from handrail.http.idempotency import OptionalKey
from handrail.http.problems import Problem
from handrail.http.schemas import Links, form
from handrail.http.temporal_errors import UNAVAILABLE
from handrail.kernel import stream_name
from handrail.sagas.proposals import (
    CATEGORY,
    ActionApproved,
    ActionProposed,
    ApproveAction,
    ProposeAction,
)

OF_TWO: Final = (
    "second-person-needed",
    "proposal-differs",
    "out-of-order",
    "not-found",
    "content-differs",
    "database-unavailable",
    *UNAVAILABLE,
)
"""The problems of a route that asks for a second person."""
LASTS: Final = timedelta(days=7)
"""How long a proposal may be approved."""


class ProposedAction(BaseModel):
    """Nothing is done yet: a second person has to approve it."""

    proposal: str
    status: Literal["proposed"] = "proposed"
    links: Links


class StoredProposal(BaseModel):
    """`approved_by` is empty where it was not approved yet."""

    proposal: str
    action: str
    body: dict[str, Any]
    proposed_by: str
    proposed_at: datetime
    approved_by: str = ""


class Proposed(Exception):
    """The request was stored as a proposal: it is answered 202, and nothing else is done."""

    def __init__(self, proposal: str) -> None:
        super().__init__(proposal)
        self.proposal = proposal

    def response(self) -> Response:
        address = f"/proposals/{self.proposal}"
        body = ProposedAction(proposal=self.proposal, links={"proposal": address})
        return Response(
            body.model_dump_json(), 202, {"Location": address}, media_type="application/json"
        )


class _BothNames(ActorName):
    """Of who approves for who proposes; what the body names is kept in the proposal."""

    def instead(self, name: str | None) -> str:  # noqa: ARG002  # the body's
        return str(self)


@dataclass(frozen=True)
class SecondPerson:
    """Asked by a route before it does what needs two persons."""

    request: Request
    services: Services
    key: str | None
    approves: str | None

    async def agreed(self, actor: ActorName, asked: BaseModel, *, needed: bool = True) -> ActorName:
        """The actor in whose names the request is done: `actor` where one person is enough.

        Raises Proposed where a second person is `needed`, and Problem where the caller may not be
        that person. A request that approves something is looked at in any case: its sender may
        have no other right.
        """
        if self.approves is None and not (needed and self.services.four_eyes):
            return actor
        action = f"{self.request.method} {self.request.scope['path']}"
        content = orjson.dumps(asked.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS).decode()
        if self.approves is None:
            raise Proposed(await self._propose(actor, action, content))
        return await self._approve(actor.principal, self.approves, action, content)

    async def _propose(self, actor: ActorName, action: str, content: str) -> str:
        id_ = self.key if self.key and not bounds.ID.wrong_with(self.key) else uuid4().hex
        command = ProposeAction(
            proposal=id_, action=action, content=content, proposed_by=actor.principal.actor
        )
        await self.services.processes.do(command, key=f"propose:{uuid4().hex}", actor=str(actor))
        return id_

    async def _approve(
        self, principal: Principal, proposal: str, action: str, content: str
    ) -> ActorName:
        refuse_without(principal, [APPROVE])
        found = await stored(self.services, proposal)
        if (found.action, found.body) != (action, orjson.loads(content)):
            said = f"{proposal} proposes something else: send the request as it was proposed"
            raise Problem("proposal-differs", said)
        if datetime.now(UTC) - found.proposed_at > LASTS:
            raise Problem("proposal-differs", f"{proposal} is older than {LASTS.days} days")
        command = ApproveAction(proposal=proposal, approved_by=principal.actor)
        key = f"approve:{uuid4().hex}"
        await self.services.processes.do(command, key=key, actor=principal.actor)
        name = _BothNames(principal.acting_for(found.proposed_by))
        name.principal = principal
        return name


async def stored(services: Services, proposal: str) -> StoredProposal:
    """Raises Problem where there is none."""
    stream = stream_name(CATEGORY, proposal)
    async with services.database.connection() as connection:
        events = await stream_reader.read(connection, stream, after=0, limit=2)
    if not events or events[0].type != ActionProposed.__name__:
        raise Problem("not-found", f"there is no proposal {proposal}")
    first = events[0]
    approved = [one for one in events if one.type == ActionApproved.__name__]
    return StoredProposal(
        proposal=proposal,
        action=first.data["action"],
        body=orjson.loads(first.data["content"]),
        proposed_by=first.data["proposed_by"],
        proposed_at=first.recorded_at,
        approved_by=approved[0].data["approved_by"] if approved else "",
    )


async def second_person(
    request: Request,
    services: ServicesDep,
    key: OptionalKey = None,
    approves: Annotated[
        str | None,
        Header(
            alias=APPROVES,
            json_schema_extra=form(bounds.ID),
            description="The proposal that this request approves: its caller is the second person.",
        ),
    ] = None,
) -> SecondPerson:
    principal_of(request)
    if approves is not None and (said := bounds.ID.wrong_with(approves)):
        raise Problem("malformed-header", f"{APPROVES}: {said}")
    return SecondPerson(request, services, key, approves)


SecondPersonDep = Annotated[SecondPerson, Depends(second_person)]
"""What a route asks before it does what needs two persons."""
