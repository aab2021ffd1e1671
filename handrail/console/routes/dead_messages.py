"""Dead and unrouted messages of the broker: look, redrive one, some or all, edit, discard."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from handrail.access.principal import Principal
from handrail.console.actions import (
    DISCARD_DEAD,
    EDIT_DEAD,
    REDRIVE,
    REDRIVE_ALL,
    REDRIVE_SOME,
    offered,
)
from handrail.console.forms import actor_in, form_of, model_of, see
from handrail.console.rendering import page, part
from handrail.http.access import PrincipalDep, needs
from handrail.http.dependencies import ServicesDep
from handrail.http.routes import dead_messages as api
from handrail.http.schemas import Id, Name
from handrail.messaging.broker.dead_message import DeadQueue
from handrail.messaging.broker.edited_body import as_sent

router = APIRouter()

_TICKED: Final = "message."
_SHOWN: Final = 25
"""Messages of a page: a form has a bound of its fields."""
_WAYS: Final = {
    "dead": "into the queue that it comes from",
    "unrouted": "into each queue that is bound to its key now",
}
_KEPT: Final = "The original is kept for a year."


@router.get("/console/broker/{vhost}/{queue}/messages", dependencies=[needs("consumers:read")])
async def show(
    *,
    request: Request,
    services: ServicesDep,
    principal: PrincipalDep,
    vhost: Name,
    queue: DeadQueue,
    after: Annotated[int, Query(ge=0, le=200)] = 0,
    done: Annotated[int | None, Query(ge=0, le=1_000)] = None,
    left: Annotated[int, Query(ge=0, le=1_000)] = 0,
) -> Response:
    found = await api.list_dead(services, vhost, queue, api.LookQuery(after=after, limit=_SHOWN))
    path = {"vhost": vhost, "queue": queue}
    none = "" if found.total else "there are no messages"
    way = _WAYS[queue]
    where = f"/console/broker/{part(vhost)}/{queue}/messages"
    first = found.items[0].id if found.items else "MESSAGE"
    return await page(
        request,
        services,
        "dead_messages.html",
        vhost=vhost,
        queue=queue,
        found=found.model_dump(),
        done=done,
        left=left,
        some=offered(
            REDRIVE_SOME,
            principal,
            says=f"Puts each that is ticked {way}. {_KEPT}",
            why_not=none,
            path={**path, "message": first},
        ),
        every=offered(
            REDRIVE_ALL,
            principal,
            says=f"Puts each {way}, in the order of their events, at most 1,000 of the"
            f" {found.total} that are there. {_KEPT}",
            why_not=none,
            path=path,
            fields={"all": "true"},
        ),
        next=found.next and f"{where}?after={after + len(found.items)}",
    )


@router.get(
    "/console/broker/{vhost}/{queue}/messages/{message}", dependencies=[needs("consumers:read")]
)
async def show_one(
    *,
    request: Request,
    services: ServicesDep,
    principal: PrincipalDep,
    vhost: Name,
    queue: DeadQueue,
    message: Id,
) -> Response:
    found = await api.show_dead(services, vhost, queue, message)
    return await page(
        request,
        services,
        "dead_message.html",
        vhost=vhost,
        queue=queue,
        one=found.model_dump(),
        **_offers(principal, found, vhost, queue),
    )


def _offers(principal: Principal, found: api.Dead, vhost: str, queue: str) -> dict[str, Any]:
    path = {"vhost": vhost, "queue": queue, "message": found.id}
    way = _WAYS[queue]
    is_whole = found.size <= len(as_sent(found.body).encode())
    is_json = is_whole and found.body.lstrip()[:1] in {"{", "["}
    return {
        "redrive": offered(
            REDRIVE,
            principal,
            says=f"Puts it {way}, as it is. {_KEPT}",
            path=path,
            fields={f"{_TICKED}{found.id}": "on"},
        ),
        "edit": offered(
            EDIT_DEAD,
            principal,
            says=f"Puts it {way} with the body that you write; its id and headers stay. {_KEPT}",
            why_not="" if is_json else "its body is no JSON, or too large to be edited",
            path=path,
        ),
        "discard": offered(
            DISCARD_DEAD,
            principal,
            says=f"Takes it away without handling it. {_KEPT}",
            path=path,
        ),
    }


@router.post("/console/broker/{vhost}/{queue}/redrive", dependencies=[needs("consumers:operate")])
async def redrive(
    request: Request, services: ServicesDep, vhost: Name, queue: DeadQueue
) -> Response:
    form = await form_of(request)
    ticked = [one.removeprefix(_TICKED) for one in form if one.startswith(_TICKED)]
    wanted = {name: one for name, one in form.items() if not name.startswith(_TICKED)}
    body = model_of(api.Redriving, {**wanted, "messages": ticked})
    acted = await api.redrive(services, await actor_in(request), vhost, queue, body)
    return _see(vhost, queue, acted)


@router.post(
    "/console/broker/{vhost}/{queue}/messages/{message}/edit",
    dependencies=[needs("consumers:operate")],
)
async def edit(
    request: Request, services: ServicesDep, vhost: Name, queue: DeadQueue, message: Id
) -> Response:
    acted = await api.edit(
        services=services,
        actor=await actor_in(request),
        vhost=vhost,
        queue=queue,
        message=message,
        body=model_of(api.Editing, await form_of(request)),
    )
    return _see(vhost, queue, acted)


@router.post(
    "/console/broker/{vhost}/{queue}/messages/{message}/discard",
    dependencies=[needs("consumers:operate")],
)
async def discard(
    request: Request, services: ServicesDep, vhost: Name, queue: DeadQueue, message: Id
) -> Response:
    acted = await api.discard(
        services=services,
        actor=await actor_in(request),
        vhost=vhost,
        queue=queue,
        message=message,
        body=model_of(api.DiscardingDead, await form_of(request)),
    )
    return _see(vhost, queue, acted)


def _see(vhost: str, queue: str, acted: api.ActedOn) -> Response:
    counts = f"done={len(acted.done)}&left={len(acted.left)}"
    return see(f"/console/broker/{part(vhost)}/{part(queue)}/messages?{counts}")
