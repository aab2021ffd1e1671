"""A checkout is one trace, from the request to the read models; nothing personal is in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from handrail.tracing.temporal import TracingInterceptor
from tests.api.conftest import House, open_house
from tests.api.shop import a_key, eventually, open_shop, place, settled
from tests.tracing.recording import recording

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{CALLER}-00f067aa0ba902b7-01"
NOT_SAMPLED = f"00-{'5e' * 16}-00f067aa0ba902b7-00"


@pytest.fixture(scope="module")
async def traced(
    postgres: EmbeddedPostgres, template_with_read_models: str, temporal: WorkflowEnvironment
) -> AsyncIterator[tuple[House, InMemorySpanExporter]]:
    with recording() as kept:
        async with open_house(
            postgres, template_with_read_models, temporal, [TracingInterceptor()]
        ) as house:
            yield house, kept


def of_trace(kept: InMemorySpanExporter, trace: str) -> list[ReadableSpan]:
    return [one for one in kept.get_finished_spans() if f"{one.context.trace_id:032x}" == trace]


async def test_an_order_is_one_trace_of_the_caller_without_orphans(
    traced: tuple[House, InMemorySpanExporter],
) -> None:
    house, kept = traced
    async with house.api() as api:
        api.headers["traceparent"] = TRACEPARENT
        shop = await open_shop(api)
        placed = await place(api, shop)
        saga = placed.json()["saga"]
        await settled(api, saga, "completed")

        async def told() -> bool:
            return any(one.name == "RunWorkflow:Checkout" for one in of_trace(kept, CALLER))

        await eventually(told, "the workflow has ended")
        stored = await api.get(f"/streams/saga-{saga}")

    spans = of_trace(kept, CALLER)
    known = {f"{one.context.span_id:016x}" for one in spans} | {TRACEPARENT.split("-")[2]}
    assert all(f"{one.parent.span_id:016x}" in known for one in spans if one.parent)
    assert all(one.parent for one in spans)
    names = {one.name for one in spans}
    assert {"POST /orders", "StartWorkflow:Checkout", "RunActivity:ReserveStock"} <= names
    assert {"decide", "append"} <= names
    events = stored.json()["items"]
    assert {event["metadata"]["traceparent"].split("-")[1] for event in events} == {CALLER}
    linked = {
        f"{link.context.trace_id:032x}"
        for one in kept.get_finished_spans()
        if one.name == "project"
        for link in one.links
    }
    assert CALLER in linked


async def test_a_span_names_what_it_is_about_and_holds_no_text_of_a_person(
    traced: tuple[House, InMemorySpanExporter],
) -> None:
    house, kept = traced
    async with house.api() as api:
        shop = await open_shop(api)
        text = "Elfriede at 7 Hill Street"
        refused = await place(api, shop, ship_to=text)
        assert refused.status_code == 422, refused.text
        await api.get("/sagas", params={"merchant": text})
        contact = {
            "language": "en",
            "time_zone": "UTC",
            "addresses": {"email": "Elfriede@hill.example"},
        }
        (await api.put(f"/customers/{shop.customer}/contact", json=contact)).raise_for_status()
        placed = await place(api, shop, wait=None, card="card_slow")
        order = placed.json()["order"]
        cancelled = await api.post(
            f"/orders/{order}/cancellation",
            json={"reason": text},
            headers={"Idempotency-Key": a_key()},
        )
        assert cancelled.is_success, cancelled.text
        await settled(api, placed.json()["saga"])
    told = "".join(one.to_json() for one in kept.get_finished_spans())
    assert "Elfriede" not in told
    assert "Hill" not in told
    assert all(not one.events for one in kept.get_finished_spans())


async def test_a_request_of_a_trace_that_is_not_sampled_makes_no_span(
    traced: tuple[House, InMemorySpanExporter],
) -> None:
    house, kept = traced
    async with house.api() as api:
        api.headers["traceparent"] = NOT_SAMPLED
        limit = {"limit": {"amount": 10_00, "currency": "EUR"}}
        customer = f"unsampled-{a_key()[:8]}"
        (await api.put(f"/customers/{customer}/limit", json=limit)).raise_for_status()
        [(stored,)] = await house.sql(
            "SELECT metadata ->> 'traceparent' FROM events WHERE stream = %s", f"credit-{customer}"
        )
    assert stored.split("-")[1] == "5e" * 16
    assert of_trace(kept, "5e" * 16) == []
