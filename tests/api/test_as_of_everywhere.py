"""Which GETs of the OpenAPI document have `as_of`, and why the others have not."""

from __future__ import annotations

import httpx

_EVENTS = "events themselves: they never change, and the query says until when"
_LIVE = "of now alone: what runs, waits, or is sent"
_NO_PROJECTION = "rows that are no fold of events, so that nothing says what they were"
_PAST_ITSELF = "the past of a row, between the moments of its query"
_NO_STATE = "no state of a business"

WITHOUT = {
    "/customers/{customer}/contact": _NO_PROJECTION,
    "/customers/{customer}/messages": _NO_PROJECTION,
    "/payouts/{run}": "a workflow, which Temporal answers; balances have as_of",
    "/sagas/{saga}/events": _EVENTS,
    "/interventions/{intervention}/items": _EVENTS,
    "/proposals/{proposal}": _EVENTS,
    "/streams/{stream}": _EVENTS,
    "/events": _EVENTS,
    "/events/{stream}/{version}/causes": _EVENTS,
    "/webhooks": _NO_PROJECTION,
    "/webhooks/{source}/{message}": _NO_PROJECTION,
    "/webhook-events": _NO_STATE,
    "/webhook-endpoints": _NO_PROJECTION,
    "/webhook-endpoints/{endpoint}": _NO_PROJECTION,
    "/webhook-endpoints/{endpoint}/deliveries": _LIVE,
    "/interventions/{intervention}/outcomes": "what became of its sagas by now: the saga has as_of",
    "/broker": _LIVE,
    "/broker/{vhost}/{queue}/messages": _LIVE,
    "/broker/{vhost}/{queue}/messages/{message}": _LIVE,
    "/consumers": _LIVE,
    "/consumers/{name}/parked": _LIVE,
    "/consumers/{name}/parked/{stream}": _LIVE,
    "/read-models": _LIVE,
    "/read-models/{name}/parked": _LIVE,
    "/read-models/{name}/rebuild": _LIVE,
    "/relay/parked": _LIVE,
    "/problems": _NO_STATE,
    "/problems/{slug}": _NO_STATE,
    "/healthz": _NO_STATE,
    "/readyz": _NO_STATE,
    "/metrics": _LIVE,
}
ROWS = {
    "/orders/{order}",
    "/orders/{order}/plan",
    "/customers/{customer}",
    "/merchants/{merchant}/balance",
    "/merchants/{merchant}/application",
    "/merchants/{merchant}/stock/{sku}",
}
"""Those of the shop have `blame` and `changes`, too."""
OF_SAGAS = {"/sagas/{saga}", "/interventions/{intervention}"}
LISTS = {"/orders", "/plans", "/merchants/{merchant}/stock", "/sagas", "/interventions"}
SUMS = {"/sagas/figures"}


async def test_every_get_has_as_of_or_a_reason_to_have_none(api: httpx.AsyncClient) -> None:
    paths = (await api.get("/openapi.json")).json()["paths"]
    gets = {path: methods["get"] for path, methods in paths.items() if "get" in methods}
    of_moments = {
        path
        for path, get in gets.items()
        if any(one["name"] == "as_of" for one in get.get("parameters", []))
    }
    assert of_moments == ROWS | {f"{path}/blame" for path in ROWS} | OF_SAGAS | LISTS | SUMS
    excepted = WITHOUT | {f"{path}/changes": _PAST_ITSELF for path in ROWS}
    assert gets.keys() - of_moments == excepted.keys()
