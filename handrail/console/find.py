"""The box for any id: which page an id leads to, or what it was looked for as."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import TextClause, text

from handrail import bounds
from handrail.access.principal import Principal
from handrail.console.declared import Console
from handrail.console.entities import pages_for, pages_with
from handrail.console.rendering import part
from handrail.http.dependencies import Services
from handrail.sagas.proposals import CATEGORY as PROPOSAL

SEARCHED: Final = 20_000
"""How many of the newest positions are looked through for a trace: there is no index of those."""
_EVENT: Final = re.compile(rf"({bounds.STREAM.pattern})/([1-9][0-9]{{0,17}})")
_TRACE: Final = re.compile(r"(?:[0-9a-f]{2}-)?([0-9a-f]{32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?")
_STEP_KEY: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*)[:/][0-9]+[:/].+")
_PAGES: Final = {"saga": "sagas", "intervention": "interventions", PROPOSAL: "proposals"}
"""The pages of streams that have one beside that of their events."""


@dataclass(frozen=True)
class Hit:
    """Something with the id, and its page."""

    what: str
    address: str


@dataclass(frozen=True)
class Found:
    """`looked` says what the id was looked for as."""

    hits: Sequence[Hit]
    looked: Sequence[str]


# One statement, whatever the id is: a look into an index for each part. A key is looked for under
# each route, of which there are a few.
_LOOK: Final[TextClause] = text("""
WITH RECURSIVE routes AS (
    SELECT min(route) AS route FROM requests
    UNION ALL
    SELECT (SELECT min(r.route) FROM requests r WHERE r.route > routes.route)
    FROM routes WHERE routes.route IS NOT NULL
)
SELECT 'stream' AS kind, name AS id FROM streams WHERE name = ANY (CAST(:streams AS text[]))
UNION ALL
SELECT 'key', coalesce(r.headers ->> 'Location', r.body ->> 'saga', '')
    FROM routes JOIN requests r ON r.route = routes.route AND r.key = :key
UNION ALL
(SELECT 'trace', e.stream FROM (
        SELECT position, stream, metadata FROM events
        WHERE CAST(:trace AS text) <> '' ORDER BY position DESC LIMIT :searched) AS e
    WHERE substr(e.metadata ->> 'traceparent', 4, 32) = :trace
    ORDER BY e.position LIMIT 1)
""")


async def find(services: Services, console: Console, principal: Principal, id_: str) -> Found:
    """Pages of entities come before those of sagas, and these before streams.

    Two statements, whatever there is.
    """
    pages = pages_for(console, principal)
    event, trace, key = (form.fullmatch(id_) for form in (_EVENT, _TRACE, _STEP_KEY))
    of = key[1] if key else id_
    is_plain = bounds.SAGA_ID.wrong_with(of) is None
    streams = [event[1] if event else id_]
    streams += [f"{category}-{of}" for category in _PAGES] if is_plain else []
    hits: list[Hit] = []
    async with services.database.connection() as connection:
        hits += [
            Hit(f"{page.title} {of}", f"/console/{page.name}/{part(of)}")
            for page in (await pages_with(connection, pages, of) if is_plain else ())
        ]
        asked = {"streams": streams, "key": id_, "trace": trace[1] if trace else ""}
        rows = await connection.execute(_LOOK, {**asked, "searched": SEARCHED})
        for kind, found in rows:
            hits += _hits(kind, found, event[2] if event else "", named=streams[0])
    return Found(list(dict.fromkeys(hits)), list(_looked([one.title for one in pages])))


def _hits(kind: str, found: str, version: str, *, named: str) -> Iterator[Hit]:
    if kind == "key":
        address = _page_of(found)
        if address:
            yield Hit(f"the request with this key: {found}", address)
        return
    category, _, id_ = found.partition("-")
    if category in _PAGES and not version:
        yield Hit(f"{category} {id_}", f"/console/{_PAGES[category]}/{part(id_)}")
    elif kind == "trace":
        yield Hit(f"the first event of the trace: {found}", f"/console/streams/{part(found)}")
    if found == named and version:
        yield Hit(f"the event {found}/{version}", f"/console/events/{part(found)}/{version}")
    elif found == named:
        yield Hit(f"the events of {found}", f"/console/streams/{part(found)}")


def _page_of(answered: str) -> str:
    """The page for the `Location` that a request was answered with, or for a saga."""
    if answered.startswith(("/sagas/", "/interventions/")):
        return f"/console{answered}"
    return f"/console/sagas/{part(answered)}" if answered and "/" not in answered else ""


def _looked(titles: Sequence[str]) -> Iterator[str]:
    for title in titles:
        yield f"the id of a page of {title.lower()}"
    yield "a saga, or the key of one of its steps"
    yield "an intervention in many sagas, or a proposal"
    yield "a stream (category-id), or an event of one (category-id/version)"
    yield "an Idempotency-Key of the last day"
    yield f"a trace, in the newest {SEARCHED:,} events"
    yield "not the id of a request: those are in the logs alone, as request_id"
