"""Every GET page of the console, with filters and second pages, asked of two APIs in turns.

Pages are those of the router: a route without an address here is an error.
"""

from __future__ import annotations

import html
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import psycopg
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy.ext.asyncio import create_async_engine

from handrail.access.authentication import Development
from handrail.processes.http_application import create_app
from handrail.sagas.options import RunOptions
from runtime.app import HANDRAIL
from tests.console_size.copying import BIG, owner_of

TIMES: Final = 40
MOST_TIMES: Final = 120
"""Of a page that looks too slow after `TIMES`: all of them count."""
MILLISECONDS: Final = 150.0
RATIO: Final = 1.5
NOISE: Final = 5.0
"""Milliseconds: what differs by less has not grown, whatever the ratio."""
_PICKED: Final = 8
"""Rows that a page is asked for in turn."""
_NEXT: Final = re.compile(r'rel="next" href="([^"]+)"')
_DEAD: Final = re.compile(r'href="(/console/broker/finance/dead/messages/[^"?]+)"')
_LATER: Final = "2100-01-01T00:00:00"

_FILES: Final = tuple(
    f"/console/static/{one}"
    for one in ("console.css", "console.js", "htmx-LICENSE.txt", "htmx.min.js", "icon.svg")
)

Rows = Mapping[str, Sequence[str]]
"""Values of each placeholder, from rows that exist."""

# By the route: what to ask for. Filters that find nothing, or little, are the dearest ones.
ADDRESSES: Final[Mapping[str, Sequence[str]]] = {
    "/console": ["/console"],
    "/console/sagas": [
        "/console/sagas",
        "/console/sagas?status=parked",
        "/console/sagas?status=completed&limit=200",
        "/console/sagas?saga_type=Checkout",
        "/console/sagas?saga_type=WriteOff",
        "/console/sagas?saga_type=Nothing",
        "/console/sagas?step=BookShipment",
        "/console/sagas?step=Nothing",
        "/console/sagas?status=parked&step=BookShipment",
        "/console/sagas?status=completed&saga_type=WriteOff",
        f"/console/sagas?merchant={BIG}",
        f"/console/sagas?merchant={BIG}&status=compensated",
        f"/console/sagas?merchant={BIG}&status=parked",
        f"/console/sagas?merchant={BIG}&saga_type=WriteOff",
        "/console/sagas?merchant={merchant}&status=completed",
        "/console/sagas?as_of={moment}",
    ],
    "/console/sagas/{saga}": ["/console/sagas/{saga}", "/console/sagas/{parked}"],
    "/console/sagas/{saga}/correct": ["/console/sagas/{stuck}/correct?step=BookShipment"],
    "/console/sagas/{saga}/events": ["/console/sagas/{saga}/events"],
    "/console/interventions": ["/console/interventions"],
    "/console/interventions/new": [
        "/console/interventions/new?step=BookShipment",
        "/console/interventions/new?saga_type=Checkout&failure=ShipmentDeclined",
        f"/console/interventions/new?merchant={BIG}",
    ],
    "/console/interventions/{intervention}": [
        "/console/interventions/{intervention}",
        "/console/interventions/{intervention}?status=accepted",
    ],
    "/console/proposals/{proposal}": ["/console/proposals/{proposal}"],
    "/console/read-models": ["/console/read-models"],
    "/console/read-models/{name}": [
        "/console/read-models/order_status",
        "/console/read-models/saga_board",
    ],
    "/console/read-models/{name}/parked/{stream}": [
        "/console/read-models/order_status/parked/order-{parked}"
    ],
    "/console/consumers": ["/console/consumers"],
    "/console/consumers/{name}": ["/console/consumers/finance"],
    "/console/consumers/{name}/parked/{stream}": [
        "/console/consumers/finance/parked/order-{parked}"
    ],
    "/console/broker": ["/console/broker"],
    "/console/broker/{exchange}/parked/{stream}": ["/console/broker/money/parked/order-{parked}"],
    "/console/broker/{vhost}/{queue}/messages": [
        "/console/broker/finance/dead/messages",
        "/console/broker/finance/unrouted/messages",
    ],
    "/console/broker/{vhost}/{queue}/messages/{message}": ["{dead}"],
    "/console/catalogue": ["/console/catalogue"],
    "/console/catalogue/sagas/{name}": ["/console/catalogue/sagas/Checkout"],
    "/console/orders/{id}": [
        "/console/orders/{saga}",
        "/console/orders/{parked}",
        "/console/orders/{saga}?event=3",
        "/console/orders/{saga}?at={moment}",
    ],
    "/console/customers/{id}": ["/console/customers/{customer}"],
    "/console/merchants/{id}": [
        "/console/merchants/{merchant}",
        f"/console/merchants/{BIG}",
        "/console/merchants/{merchant}?event=1",
    ],
    "/console/streams/{stream}": ["/console/streams/saga-{saga}", "/console/streams/{day}"],
    "/console/events": [
        "/console/events",
        "/console/events?saga={saga}",
        "/console/events?correlation={saga}",
        "/console/events?actor=person:seeder",
        "/console/events?actor=person:nothing",
        "/console/events?type=SagaParked",
        "/console/events?type=SagaStarted&actor=person:seeder",
        "/console/events?merchant={merchant}",
        "/console/events?since={since}&until={until}",
        "/console/events?until={until}&type=SagaParked",
    ],
    "/console/events/{stream}/{version}": [
        "/console/events/saga-{saga}/2",
        "/console/events/{day}/7",
    ],
    "/console/audit": [
        "/console/audit",
        "/console/audit?principal=person:seeder",
        "/console/audit?principal=person:nothing",
        "/console/audit?act=interventions&outcome=done",
        "/console/audit?outcome=refused",
        "/console/audit?since={since}&until={until}",
    ],
    "/console/audit/export": [
        "/console/audit/export",
        "/console/audit/export?format=jsonl",
        "/console/audit/export?principal=person:nothing",
    ],
    "/console/find": [
        "/console/find?id={saga}",
        "/console/find?id=saga-{saga}/2",
        "/console/find?id={key}",
        "/console/find?id={trace}",
        "/console/find?id=nothing",
    ],
    "/console/sign-in": ["/console/sign-in"],
    **{one: [one] for one in _FILES},
}
_ROWS: Final[Mapping[str, str]] = {
    "saga": "SELECT saga FROM saga_board WHERE saga_type = 'Checkout' AND parked_since IS NULL",
    "parked": "SELECT saga FROM saga_board WHERE parked_since IS NOT NULL",
    "merchant": "SELECT substr(name, 10) FROM streams WHERE name LIKE 'merchant-%'",
    "customer": "SELECT substr(name, 8) FROM streams WHERE name LIKE 'credit-%'",
    "intervention": "SELECT intervention FROM intervention_board",
    "proposal": "SELECT substr(name, 10) FROM streams WHERE name LIKE 'proposal-%'",
    "day": "SELECT name FROM streams WHERE name LIKE 'audit-%' AND version > 100",
    "key": "SELECT key FROM requests WHERE key LIKE 'key%'",
}


@dataclass
class Side:
    """An API over one of the two databases, and the rows that its pages are asked for."""

    api: httpx.AsyncClient
    rows: Rows
    chance: random.Random
    took: dict[str, list[float]] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    """Addresses of pages behind the first one of a list, by what the table calls them."""

    def address(self, page: str) -> str:
        if page in self.found:
            return self.found[page]
        names = re.findall(r"\{([a-z]+)\}", page)
        return page.format(**{name: self.chance.choice(self.rows[name]) for name in names})

    async def ask(self, page: str) -> None:
        """Milliseconds to the end of the answer; of a stream of events, to its first line."""
        address = self.address(page)
        began = time.perf_counter()
        async with self.api.stream("GET", address) as answer:
            _check(answer, address)
            async for _ in answer.aiter_bytes():
                if _is_stream(answer):
                    break
        self.took.setdefault(page, []).append((time.perf_counter() - began) * 1000)

    async def text(self, address: str) -> str:
        async with self.api.stream("GET", address) as answer:
            _check(answer, address)
            if _is_stream(answer):
                return ""
            return (await answer.aread()).decode(errors="replace")


def _check(answer: httpx.Response, address: str) -> None:
    is_not_found = answer.status_code == httpx.codes.NOT_FOUND and "/console/find" in address
    if answer.status_code not in {200, 204, 303} and not is_not_found:
        raise RuntimeError(f"{address} is answered with {answer.status_code}")


def _is_stream(answer: httpx.Response) -> bool:
    return str(answer.headers.get("content-type", "")).startswith("text/event-stream")


def pages() -> Sequence[str]:
    """The addresses of all routes. Raises RuntimeError for a route that has none."""
    engine = create_async_engine("postgresql+psycopg://nowhere")
    client: Any = None  # no request is made
    app = create_app(
        HANDRAIL, engine, client, RunOptions(), authentication=Development(HANDRAIL.access)
    )
    routes = {
        one.path_format or ""
        for one in iter_route_contexts(app.routes)
        if isinstance(one.original_route, APIRoute) and "GET" in (one.methods or ())
    }
    routes = {one for one in routes if one.startswith("/console")}
    if lacking := routes - ADDRESSES.keys():
        raise RuntimeError(f"add addresses of {sorted(lacking)} to tests/console_size/asking.py")
    if gone := ADDRESSES.keys() - routes:
        raise RuntimeError(f"{sorted(gone)} are no routes of the console")
    return [page for route in sorted(ADDRESSES) for page in ADDRESSES[route]]


async def rows_of(url: str) -> dict[str, Sequence[str]]:
    """Some of everything, from the whole of each table."""
    found: dict[str, Sequence[str]] = {}
    async with owner_of(url) as owner:
        for name, query in _ROWS.items():
            found[name] = await _some(owner, query)
            if not found[name]:
                raise RuntimeError(f"there is no {name}: {query}")
        traces = await _some(
            owner,
            "SELECT metadata ->> 'traceparent' AS trace FROM events"
            " WHERE metadata ? 'traceparent' AND position >"
            " (SELECT max(position) FROM events) - 20000",
        )
        [newest] = await (
            await owner.execute("SELECT at FROM moments ORDER BY at DESC OFFSET 50 LIMIT 1")
        ).fetchone() or [datetime.now(UTC)]
    found["trace"] = traces or ["0af7651916cd43dd8448eb211c80319c"]
    found["moment"] = [f"{newest:%Y-%m-%dT%H:%M:%SZ}"]
    found["since"] = [f"{newest - timedelta(hours=2):%Y-%m-%dT%H:%M}"]
    found["until"] = [f"{newest - timedelta(hours=1):%Y-%m-%dT%H:%M}"]
    return found


async def _some(owner: psycopg.AsyncConnection, query: str) -> Sequence[str]:
    cursor = await owner.execute(
        f"SELECT t.* FROM ({query}) AS t ORDER BY md5(t::text) LIMIT {_PICKED}".encode()
    )
    return [str(one) for (one,) in await cursor.fetchall()]


async def dead_messages(side: Side) -> Sequence[str]:
    """Addresses that only a page tells."""
    dead = _DEAD.findall(await side.text("/console/broker/finance/dead/messages"))
    if not dead:
        raise RuntimeError("there is no dead message")
    return [html.unescape(one) for one in dead]


async def with_second_pages(sides: Sequence[Side], asked: Sequence[str]) -> Sequence[str]:
    """Also the second page of each list and the eleventh, by their cursors."""
    more: list[str] = []
    for page in asked:
        found: list[dict[str, str]] = [await _next_pages(side, page) for side in sides]
        for name in found[0]:
            if all(name in one for one in found):
                label = f"{page} · {name}"
                for side, one in zip(sides, found, strict=True):
                    side.found[label] = one[name]
                more.append(label)
    return [*asked, *more]


async def _next_pages(side: Side, page: str) -> dict[str, str]:
    found: dict[str, str] = {}
    next_ = _NEXT.search(await side.text(side.address(page)))
    for number in range(2, 12):
        if next_ is None:
            break
        address = html.unescape(next_[1])
        if number in {2, 11}:
            found[f"page {number}"] = address
        next_ = _NEXT.search(await side.text(address))
    return found


def p95(took: Sequence[float]) -> float:
    return sorted(took)[int(0.95 * (len(took) - 1) + 0.5)]


@dataclass(frozen=True)
class Figure:
    """Milliseconds of one page at both sizes."""

    page: str
    small: float
    large: float

    @property
    def ratio(self) -> float:
        return self.large / self.small

    @property
    def has_grown(self) -> bool:
        return self.ratio > RATIO and self.large - self.small > NOISE

    @property
    def verdict(self) -> str:
        if self.has_grown:
            return "grows"
        return "slow" if self.large > MILLISECONDS else "ok"


async def measure(
    small: Side, large: Side, asked: Sequence[str], told: Callable[[], None]
) -> Sequence[Figure]:
    """In turns, the first of which is not counted."""
    figures = []
    for page in asked:
        figure = None
        while figure is None or (figure.verdict != "ok" and len(small.took[page]) < MOST_TIMES):
            await _turns(small, large, page)
            figure = Figure(page, p95(small.took[page]), p95(large.took[page]))
        figures.append(figure)
        told()
    return figures


async def _turns(small: Side, large: Side, page: str) -> None:
    if page not in small.took:
        for side in (small, large):
            for _ in range(_PICKED):
                await side.ask(page)
            side.took[page].clear()
    for turn in range(TIMES):
        for side in (small, large) if turn % 2 else (large, small):
            await side.ask(page)
