"""What is parked at a read model or at the relay is put right from the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from handrail.access.authentication import Development
from handrail.processes.http_application import create_app
from handrail.sagas.options import RunOptions
from handrail.simulators.in_process import served
from runtime.app import HANDRAIL
from tests.api.callers import signed_in
from tests.api.conftest import House
from tests.api.poison import heal, mend, poison
from tests.api.shop import Shop, problem
from tests.console.parked import eventually_shows, form, shown, submit, text_of
from tests.console.test_rights import strict
from tests.unencrypted import a_client

__all__ = ["strict"]
MODEL = "customer_account"
UNROUTABLE = "unroutable: NO_ROUTE for credit.LimitAssigned.v1 at exchange money"


@pytest.fixture
async def stream(house: House, shop: Shop) -> AsyncIterator[str]:
    """Of a customer whose account stands still."""
    name = f"credit-{shop.customer}"
    await poison(house, name, "LimitAssigned", MODEL)
    yield name
    await heal(house)


@pytest.fixture
async def unpublished(house: House, shop: Shop) -> AsyncIterator[str]:
    """A stream of which an exchange did not get the first event."""
    name = f"credit-{shop.customer}"
    await house.sql(
        "INSERT INTO parked_events (projection, stream, position, cause)"
        " SELECT 'relay/money', stream, position, %s FROM events WHERE stream = %s AND version = 1",
        UNROUTABLE,
        name,
    )
    yield name
    await heal(house)


async def test_a_poison_event_is_put_right_from_the_pages(
    api: httpx.AsyncClient, house: House, shop: Shop, stream: str
) -> None:
    path = f"/console/read-models/{MODEL}/parked/{stream}"
    assert path in await shown(api, f"/console/read-models/{MODEL}")
    html = await shown(api, path)
    assert "ValidationError" in text_of(html)
    assert "Release code that can take the event, then retry" in text_of(html)
    await mend(house, stream)
    answer = await submit(api, form(html, "Retry this row"), reason="mended in 1.2.3")
    assert (answer.status_code, answer.headers.get("location")) == (303, path), answer.text
    said = await eventually_shows(api, path, "Events that went on: 1")
    assert "Nothing waits: the row is up to date" in said
    assert "mended in 1.2.3" in said
    row = (await api.get(f"/customers/{shop.customer}")).json()
    now = "now() + interval '1 second'"
    [(moment,)] = await house.sql(f"SELECT to_char({now}, 'YYYY-MM-DD\"T\"HH24:MI:SSOF:00')")
    folded = await api.get(f"/customers/{shop.customer}", params={"as_of": moment})
    assert {**row, "links": 0} == {**folded.json(), "links": 0}


async def test_a_retry_in_vain_says_why_the_row_still_stands_still(
    api: httpx.AsyncClient, stream: str
) -> None:
    path = f"/console/read-models/{MODEL}/parked/{stream}"
    await submit(api, form(await shown(api, path), "Retry this row"), reason="a try")
    said = await eventually_shows(api, path, "Events that went on: 0")
    assert f"{stream} stopped at position" in said


async def test_all_rows_of_a_read_model_are_retried_at_once(
    api: httpx.AsyncClient, house: House, stream: str
) -> None:
    await mend(house, stream)
    html = await shown(api, f"/console/read-models/{MODEL}")
    await submit(api, form(html, "Retry all rows"), reason="mended in 1.2.3")
    done = "all that waited console mended in 1.2.3 Events that went on: 1"
    said = await eventually_shows(api, f"/console/read-models/{MODEL}", done)
    assert "Every row is up to date" in said


async def test_an_event_of_newer_code_goes_on_by_itself_and_the_page_says_so(
    api: httpx.AsyncClient, house: House, stream: str
) -> None:
    await house.sql(
        "UPDATE parked_events SET cause = 'UnknownMessage: LimitAssigned v9' WHERE stream = %s",
        stream,
    )
    said = text_of(await shown(api, f"/console/read-models/{MODEL}/parked/{stream}"))
    assert "Release code that reads LimitAssigned v9: it goes on by itself then" in said


async def test_read_models_show_how_far_each_is_behind_as_bars(api: httpx.AsyncClient) -> None:
    html = await shown(api, "/console/read-models")
    assert html.count('<svg class="meter"') >= 2 * html.count('<th scope="row">')


@pytest.mark.usefixtures("shop")
async def test_a_read_model_that_is_being_built_shows_how_far_it_is(
    api: httpx.AsyncClient, house: House
) -> None:
    await house.sql(
        "INSERT INTO checkpoints (projection, shard, after_position, since)"
        " VALUES ('order_status__next', 0, 0, '1:1:')"
    )
    try:
        said = text_of(await shown(api, "/console/read-models"))
    finally:
        await house.sql("DELETE FROM checkpoints WHERE projection = 'order_status__next'")
    assert "order_status : 0 % of the events are read" in said


async def test_what_the_relay_could_not_publish_is_shown_and_its_retry_waits_for_a_relay(
    api: httpx.AsyncClient, house: House, unpublished: str
) -> None:
    path = f"/console/broker/money/parked/{unpublished}"
    html = await shown(api, "/console/broker")
    assert path in html
    assert "NO_ROUTE" in text_of(html)
    assert "handrail topology diff" in text_of(html)
    one = await shown(api, path)
    assert "Have a queue bound to what the event is published as" in text_of(one)
    answer = await submit(api, form(one, "Publish this stream"), reason="bound again")
    assert (answer.status_code, answer.headers.get("location")) == (303, path), answer.text
    assert "bound again It waits for a process that does it." in text_of(await shown(api, path))
    [(subscriber, stream, actor)] = await house.sql(
        "SELECT subscriber, stream, actor FROM retry_requests WHERE subscriber LIKE 'relay%%'"
        " AND stream = %s",
        unpublished,
    )
    assert (subscriber, stream, actor) == ("relay/money", unpublished, "console")


async def test_a_reader_sees_why_nothing_can_be_retried(
    strict: httpx.AsyncClient, stream: str, unpublished: str
) -> None:
    for path, label in (
        (f"/console/read-models/{MODEL}", "Retry all rows"),
        (f"/console/read-models/{MODEL}/parked/{stream}", "Retry this row"),
        ("/console/broker", "Publish all that waits"),
        (f"/console/broker/money/parked/{unpublished}", "Publish this stream"),
    ):
        answer = await strict.get(path, headers=signed_in("reader"))
        assert form(answer.text, label).disabled, path
        said = "you have not the scope consumers:operate, which the role operator has"
        assert said in text_of(answer.text), path


async def test_without_a_broker_the_page_says_so_and_the_api_has_no_relay(house: House) -> None:
    app = create_app(
        replace(HANDRAIL, broker=None),
        house.engine,
        house.temporal,
        RunOptions(),
        authentication=Development(HANDRAIL.access),
    )
    async with served(app) as address, a_client(address) as client:
        said = text_of(await shown(client, "/console/broker"))
        answer = await client.get("/relay/parked")
    assert "The App declares no broker: its consumers read the events from the store." in said
    assert "declares no broker" in problem(answer, 404, "not-found")["detail"]


@pytest.fixture
async def a_relay_that_waits(house: House) -> AsyncIterator[None]:
    """For a process that knows an event of newer code."""
    await house.sql(
        "INSERT INTO checkpoints (projection, shard, after_position, since, until)"
        " SELECT 'relay', 0, 41, s, s FROM pg_current_snapshot() AS s"
    )
    await house.sql(
        "INSERT INTO newer_code_waits (subscriber, shard, owner, type, schema, stream, position)"
        " VALUES ('relay', 0, 'a relay', 'LimitAssigned', 9, 'credit-ann', 42)"
    )
    yield
    await house.sql("DELETE FROM newer_code_waits WHERE subscriber = 'relay'")
    await house.sql("DELETE FROM checkpoints WHERE projection = 'relay'")


@pytest.mark.usefixtures("a_relay_that_waits")
async def test_what_waits_for_newer_code_is_shown_with_what_can_be_decided(
    api: httpx.AsyncClient,
) -> None:
    said = text_of(await shown(api, "/console/broker"))
    assert "1 wait for newer code" in said
    assert "Shard 0 waits before LimitAssigned v9 of credit-ann" in said
    assert "handrail relay park-unknown EVENT.vN --reason" in said
    [shard] = (await api.get("/relay/parked")).json()["waiting"]
    assert (shard["type"], shard["schema"], shard["position"]) == ("LimitAssigned", 9, 42)
