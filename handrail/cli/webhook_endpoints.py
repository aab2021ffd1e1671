"""`handrail webhook-endpoints`: where tenants have their events sent, through the HTTP API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console

from handrail import bounds
from handrail.cli.api_client import Api
from handrail.cli.bounded_options import within
from handrail.cli.bulk import Result
from handrail.cli.options import Json, Wide
from handrail.cli.sagas import Tenant, Why, run_with_api
from handrail.counted import counted
from handrail.load_app import the_app
from handrail.terminal_tables import Column, Table

webhook_endpoints = App(
    name="webhook-endpoints", help="Where tenants have their events sent, and what became of it."
)

Endpoint = Annotated[
    str, Parameter(help="The endpoint's id, as `list` shows it.", validator=within(bounds.ID))
]
DeliveryId = Annotated[
    str, Parameter(help="The delivery, as `deliveries` shows it.", validator=within(bounds.ID))
]


@webhook_endpoints.command(name="list")
def list_endpoints(
    *,
    tenant: Tenant = None,
    state: Literal["active", "disabled"] | None = None,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """List webhook endpoints, newest first."""

    def work(api: Api, console: Console) -> Result:
        word = the_app().tenant
        found = list(api.items("/webhook-endpoints", **{word: tenant}, state=state))
        endpoint_table(word, found).print(console)
        return 0, {"endpoints": found}

    return run_with_api(work, json=json, wide=wide)


@webhook_endpoints.command
def events(*, json: Json = False) -> int:
    """List the events that may be sent, each in the forms there are."""

    def work(api: Api, console: Console) -> Result:
        found = api.get("/webhook-events")
        for one in found["events"]:
            console.print(one, markup=False)
        return 0, found

    return run_with_api(work, json=json)


@webhook_endpoints.command
def create(
    url: Annotated[str, Parameter(help="An https address.")],
    /,
    *,
    event: Annotated[list[str], Parameter(help="A form of an event; may be repeated.")],
    tenant: Tenant = None,
    description: Annotated[str, Parameter(validator=within(bounds.DESCRIPTION))] = "",
    json: Json = False,
) -> int:
    """Register an endpoint, and print its secret: it cannot be shown again."""

    def work(api: Api, console: Console) -> Result:
        body = {
            the_app().tenant: tenant,
            "url": url,
            "events": event,
            "description": description,
        }
        made = api.post("/webhook-endpoints", body)
        console.print(f"{made['endpoint']}\n{made['secret']}", markup=False)
        console.print("the secret is not shown again")
        return 0, made

    return run_with_api(work, json=json)


@webhook_endpoints.command
def rotate(
    endpoint: Endpoint,
    /,
    *,
    overlap_hours: Annotated[int, Parameter(help="How long the old secret signs, too.")] = 24,
    json: Json = False,
) -> int:
    """Make another secret, and print it; the old one signs beside it a little longer."""

    def work(api: Api, console: Console) -> Result:
        made = api.post(_of(endpoint, "rotate"), {"overlap_hours": overlap_hours})
        console.print(made["secret"], markup=False)
        console.print(f"the one before signs until {made['earlier_secret_until']}")
        return 0, made

    return run_with_api(work, json=json)


@webhook_endpoints.command
def disable(endpoint: Endpoint, /, *, why: Why, json: Json = False) -> int:
    """Send nothing there from now on; what comes is kept."""
    return _change(endpoint, "disable", why, json=json)


@webhook_endpoints.command
def enable(endpoint: Endpoint, /, *, why: Why, json: Json = False) -> int:
    """Send there again, first what came meanwhile."""
    return _change(endpoint, "enable", why, json=json)


@webhook_endpoints.command
def delete(endpoint: Endpoint, /, *, json: Json = False) -> int:
    """Delete an endpoint, with what waits for it."""

    def work(api: Api, console: Console) -> Result:
        gone = api.delete(_of(endpoint))
        console.print(f"{endpoint} is deleted", markup=False)
        return 0, gone

    return run_with_api(work, json=json)


@webhook_endpoints.command(name="test")
def send_test(endpoint: Endpoint, /, *, json: Json = False) -> int:
    """Have a test sent, signed as all others."""

    def work(api: Api, console: Console) -> Result:
        sent = api.post(_of(endpoint, "test"), {})
        console.print(f"{sent['delivery']}: see `handrail webhook-endpoints deliveries {endpoint}`")
        return 0, sent

    return run_with_api(work, json=json)


@webhook_endpoints.command
def deliveries(
    endpoint: Endpoint,
    /,
    *,
    state: Literal["waiting", "delivered", "parked", "discarded"] | None = None,
    most: Annotated[int, Parameter(help="How many are shown.")] = 100,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """List what was sent to an endpoint, and what waits, newest first."""

    def work(api: Api, console: Console) -> Result:
        rows = api.items(_of(endpoint, "deliveries"), state=state)
        found = [one for one, _ in zip(rows, range(most), strict=False)]
        delivery_table(found).print(console)
        return 0, {"deliveries": found}

    return run_with_api(work, json=json, wide=wide)


@webhook_endpoints.command
def redeliver(
    endpoint: Endpoint, delivery: DeliveryId | None = None, /, *, why: Why, json: Json = False
) -> int:
    """Send one delivery again, or all that are parked."""

    def work(api: Api, console: Console) -> Result:
        which = ("deliveries", delivery) if delivery else ()
        done = api.post(_of(endpoint, *which, "redeliver"), why.said())
        console.print(f"{counted(done['deliveries'], 'webhook')} will be sent again")
        return 0, done

    return run_with_api(work, json=json)


@webhook_endpoints.command
def discard(endpoint: Endpoint, delivery: DeliveryId, /, *, why: Why, json: Json = False) -> int:
    """Give a delivery up: what waits behind it in its stream is sent then."""

    def work(api: Api, console: Console) -> Result:
        done = api.post(_of(endpoint, "deliveries", delivery, "discard"), why.said())
        console.print(f"{delivery} is discarded", markup=False)
        return 0, done

    return run_with_api(work, json=json)


def _change(endpoint: str, act: str, why: Why, *, json: bool) -> int:
    def work(api: Api, console: Console) -> Result:
        now = api.post(_of(endpoint, act), why.said())
        console.print(f"{endpoint} is {now['state']}", markup=False)
        return 0, now

    return run_with_api(work, json=json)


def _of(*parts: str) -> str:
    return "/".join(("/webhook-endpoints", *parts))


def endpoint_table(word: str, found: Iterable[Mapping[str, Any]]) -> Table:
    """Endpoints as they stand; `word` is what the App calls its tenant."""
    table = Table(
        (
            Column("endpoint"),
            Column(word),
            Column("url", kind="text"),
            Column("state"),
            Column("waiting", rank=1, right=True),
            Column("parked", rank=1, right=True),
            Column("because", rank=2, kind="text"),
        )
    )
    for one in found:
        failing = one["state"] == "active" and one["failing_since"]
        because = one["last_problem"] if failing else one["state_because"]
        state = "failing" if failing else one["state"]
        counts = (str(one["waiting"]), str(one["parked"]))
        table.add(one["endpoint"], one[word], one["url"], state, *counts, because or "")
    return table


def delivery_table(found: Iterable[Mapping[str, Any]]) -> Table:
    """Deliveries with what became of each."""
    table = Table(
        (
            Column("delivery"),
            Column("type", rank=1),
            Column("stream", rank=2),
            Column("state"),
            Column("tries", right=True),
            Column("last", rank=3),
            Column("problem", kind="text"),
        )
    )
    for one in found:
        last = one["last_attempt_at"] or ""
        cells = (one["delivery"], one["type"], f"{one['stream']}/{one['version']}", one["state"])
        table.add(*cells, str(one["attempts"]), last[:19], one["problem"] or "")
    return table
