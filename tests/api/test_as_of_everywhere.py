"""Which GETs of the OpenAPI document have `as_of`, and why the others have not."""

from __future__ import annotations

import httpx

_LIST = "a list: its rows are those of now; each of them has as_of"
_LIST_OF_ROWS = "a list of rows that have no as_of of their own"
_EVENTS = "events themselves: they never change, and the query says until when"
_LIVE = "of now alone: what runs, waits, or is sent"
_NO_PROJECTION = "no read model that is folded from events"
_NO_STATE = "no state of a business"

WITHOUT = {
    "/orders": _LIST,
    "/plans": _LIST,
    "/merchants/{merchant}/stock": _LIST,
    "/customers/{customer}/contact": _NO_PROJECTION,
    "/customers/{customer}/messages": _NO_PROJECTION,
    "/payouts/{run}": _LIVE,
    "/sagas": _LIST_OF_ROWS,
    "/sagas/figures": "sums over all sagas, kept as of now",
    "/sagas/{saga}": "its timeline has every step with its time, and /events the rest",
    "/sagas/{saga}/events": _EVENTS,
    "/interventions": _LIST_OF_ROWS,
    "/interventions/{intervention}": _LIVE,
    "/interventions/{intervention}/items": _EVENTS,
    "/proposals/{proposal}": _EVENTS,
    "/streams/{stream}": _EVENTS,
    "/events": _EVENTS,
    "/events/{stream}/{version}/causes": _EVENTS,
    "/webhooks": _NO_PROJECTION,
    "/webhooks/{source}/{message}": _NO_PROJECTION,
    "/consumers": _LIVE,
    "/consumers/{name}/parked": _LIVE,
    "/consumers/{name}/parked/{stream}": _LIVE,
    "/read-models": _LIVE,
    "/read-models/{name}/parked": _LIVE,
    "/relay/parked": _LIVE,
    "/problems": _NO_STATE,
    "/problems/{slug}": _NO_STATE,
    "/healthz": _NO_STATE,
    "/readyz": _NO_STATE,
    "/metrics": _LIVE,
}
WITH = {
    "/orders/{order}",
    "/orders/{order}/plan",
    "/customers/{customer}",
    "/merchants/{merchant}/balance",
    "/merchants/{merchant}/application",
    "/merchants/{merchant}/stock/{sku}",
}


async def test_every_get_has_as_of_or_a_reason_to_have_none(api: httpx.AsyncClient) -> None:
    paths = (await api.get("/openapi.json")).json()["paths"]
    gets = {path: methods["get"] for path, methods in paths.items() if "get" in methods}
    of_moments = {
        path
        for path, get in gets.items()
        if any(one["name"] == "as_of" for one in get.get("parameters", []))
    }
    assert of_moments == WITH | {f"{path}/blame" for path in WITH}
    assert gets.keys() - of_moments == WITHOUT.keys() | {f"{path}/changes" for path in WITH}
