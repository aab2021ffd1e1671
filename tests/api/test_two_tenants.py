"""Two tenants with everything: each operation of the document, asked for what is the other's.

The caller has every scope, and is confined to one merchant, or to one customer. What is of the
other cannot be told from what does not exist; also by the rules of the database alone, and by the
conditions of queries alone.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx
import pytest

from handrail.access.principal import Principal
from handrail.database_engine import open_engine
from runtime.app import HANDRAIL
from tests.api.callers import Callers, signed_in
from tests.api.conftest import House
from tests.api.shop import Shop, a_key, open_shop, place, problem, read, settled

pytestmark = pytest.mark.thorough

KINDS: Final = ("merchant", "customer")
LIVE: Final = "/sagas/{saga}/events"
"""It goes on as long as the saga does: it has a test of its own."""
_HEADERS_OF_ONE_ANSWER: Final = frozenset({"date", "x-request-id", "content-length", "ratelimit"})


@dataclass(frozen=True)
class Side:
    """One of the two: a shop with an order, and a saga of its own that is parked."""

    shop: Shop
    order: str
    parked: str
    intervention: str
    proposal: str

    @property
    def marks(self) -> tuple[str, ...]:
        """Texts that only it has."""
        shop = self.shop
        return (shop.merchant, shop.customer, shop.sku, self.order, self.parked, self.proposal)

    def path(self, template: str) -> str:
        """With what is this side's in the place of each parameter."""
        known = {
            "order": self.order,
            "saga": self.parked,
            "merchant": self.shop.merchant,
            "customer": self.shop.customer,
            "sku": self.shop.sku,
            "stream": f"saga-{self.parked}",
            "intervention": self.intervention,
            "proposal": self.proposal,
        } | _OF_NOBODY
        return re.sub(r"\{(\w+)\}", lambda one: known[one[1]], template)


_OF_NOBODY: Final = {
    "delivery": "none",
    "endpoint": "none",
    "exchange": "none",
    "message": "none",
    "name": "order_status",
    "queue": "dead",
    "run": "2026-03-02",
    "slug": "not-found",
    "source": "bank",
    "version": "1",
    "vhost": "finance",
}


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    described: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def is_public(self) -> bool:
        return not self.described.get("security")

    @property
    def queries(self) -> list[str]:
        return [one["name"] for one in self.described.get("parameters", ()) if one["in"] == "query"]


@dataclass(frozen=True)
class Stage:
    """What all tests ask: the sides, and the operations of the document."""

    mine: Side
    theirs: Side
    operations: list[Operation]
    examples: Mapping[str, Any]

    def body(self, one: Operation, side: Side) -> Any:
        """The example of the document, about this side."""
        if (asked := one.described.get("requestBody")) is None:
            return None
        content = asked["content"]["application/json"]
        found = content.get("example")
        if found is None:
            found = self.examples[content["schema"]["$ref"].rsplit("/")[-1]]["examples"][0]
        if str(one) == "POST /interventions":
            return {**found, "filter": {"merchant": side.shop.merchant}}
        return found


async def _side(api: httpx.AsyncClient, house: House) -> Side:
    shop = await open_shop(api)
    order = (await place(api, shop)).json()["order"]
    await read(api, f"/orders/{order}", lambda found: found["status"] == "confirmed")
    await read(api, f"/orders/{order}/plan", bool)
    parked = (await place(api, shop, wait=None, ship_to="addr_undeliverable")).json()["saga"]
    await settled(api, parked, "parked")
    contact = {
        "language": "en",
        "time_zone": "UTC",
        "quiet_hours": None,
        "addresses": {"email": f"{shop.customer}@shop.example"},
    }
    kept = await api.put(f"/customers/{shop.customer}/contact", json=contact)
    assert kept.status_code == 200, kept.text
    side = Side(shop, order, parked, "", "")
    told = await api.post(
        "/interventions",
        json={
            "filter": {"merchant": shop.merchant},
            "kind": "retry",
            "reason": "again",
            "dry_run": False,
        },
        headers={"Idempotency-Key": f"many-{shop.merchant}"},
    )
    assert told.status_code == 202, told.text
    async with house.api(four_eyes=True) as careful:
        proposed = await careful.post(
            f"/sagas/{parked}/interventions",
            json={"kind": "skip", "reason": "again", "evidence": "none"},
            headers={"Idempotency-Key": a_key()},
        )
    assert proposed.status_code == 202, proposed.text
    intervention, proposal = told.json()["intervention"], proposed.json()["proposal"]
    await read(api, f"/interventions/{intervention}", lambda found: found["state"] == "finished")
    await settled(api, parked, "parked")
    return replace(side, intervention=intervention, proposal=proposal)


@pytest.fixture(scope="module")
async def stage(house: House) -> Stage:
    async with house.api(deadline_seconds=10, patience_seconds=0.5) as api:
        document = (await api.get("/openapi.json")).json()
        mine, theirs = await _side(api, house), await _side(api, house)
    operations = [
        Operation(method, path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    assert len(operations) > 70
    return Stage(mine, theirs, operations, document["components"]["schemas"])


@pytest.fixture
def known(stage: Stage) -> Callers:
    every = frozenset(HANDRAIL.access.all_scopes)
    return Callers(
        {
            "merchant": Principal("person", "m", every, tenant=stage.mine.shop.merchant),
            "customer": Principal("person", "c", every, party=stage.mine.shop.customer),
            "operator": Principal("person", "o", every),
        }
    )


@pytest.fixture(params=["both lines", "row-level security alone", "conditions of queries alone"])
async def api(
    request: pytest.FixtureRequest,
    house: House,
    known: Callers,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[httpx.AsyncClient]:
    """Each line of defence on its own, and both."""
    async with AsyncExitStack() as stack:
        engine = house.engine
        if request.param == "row-level security alone":
            for where in ("handrail.projections.saga_board", "handrail.http.path_owners"):
                monkeypatch.setattr(f"{where}.own_rows", lambda *_: [])
            for where in ("projections.order_status", "projections.instalment_plan"):
                monkeypatch.setattr(f"{where}.own_rows", lambda *_: [])
        if request.param == "conditions of queries alone":
            # A superuser: no policy holds for it.
            engine = await stack.enter_async_context(open_engine(house.database))
        yield await stack.enter_async_context(house.api(authentication=known, engine=engine))


def unlike(template: str) -> str:
    """The same path, of what does not exist."""
    nobody = Side(Shop("m-nil", "c-nil", "sku-nil", ""), "ord-nil", "ord-nil", "nil", "nil")
    return nobody.path(template)


def essence(answer: httpx.Response, path: str) -> tuple[int, Mapping[str, str], str]:
    """What an answer says, without the ids of the request it was asked with."""
    text = answer.text.replace(answer.headers["x-request-id"], "REQUEST")
    text = text.replace(path, "PATH")
    for segment in sorted(path.strip("/").split("/"), key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(segment)}(?![\w-])", "ID", text)
    headers = {
        name: value for name, value in answer.headers.items() if name not in _HEADERS_OF_ONE_ANSWER
    }
    return answer.status_code, headers, text


async def ask(
    api: httpx.AsyncClient, one: Operation, path: str, word: str, body: Any = None, **query: Any
) -> httpx.Response:
    headers = {**signed_in(word), "Idempotency-Key": a_key()}
    return await api.request(one.method, path, params=query, json=body, headers=headers)


@pytest.mark.parametrize("word", KINDS)
async def test_what_is_the_others_is_like_what_does_not_exist(
    api: httpx.AsyncClient, house: House, stage: Stage, word: str
) -> None:
    """Every operation whose path names something; also those that change it."""
    before = await events_of(house, stage.theirs)
    asked = 0
    for one in stage.operations:
        if "{" not in one.path or one.is_public:
            continue
        theirs, none = stage.theirs.path(one.path), unlike(one.path)
        body = stage.body(one, stage.theirs)
        found = essence(await ask(api, one, theirs, word, body), theirs)
        assert found == essence(await ask(api, one, none, word, body), none), one
        assert found[0] in {404, 422}, f"{one}: {found}"
        assert not [mark for mark in stage.theirs.marks if mark in found[2]], one
        asked += 1
    assert asked > 45
    assert await events_of(house, stage.theirs) == before


async def events_of(house: House, side: Side) -> int:
    [(count,)] = await house.sql(
        "SELECT count(*) FROM events WHERE stream LIKE ANY (%s)",
        [f"%{mark}%" for mark in side.marks],
    )
    return int(count)


def filters(one: Operation, side: Side) -> Iterator[dict[str, str]]:
    """Nothing, and each filter with each text that only this side has."""
    yield {}
    for name in one.queries:
        if name not in {"limit", "cursor"}:
            of_that_name = {"merchant": side.shop.merchant, "customer": side.shop.customer}
            yield {name: of_that_name.get(name, side.parked)}
            yield {name: f"order-{side.order}"}
    if "as_of" in one.queries:
        yield {"as_of": "2100-01-01T00:00:00Z"}


@pytest.mark.parametrize("word", KINDS)
async def test_nothing_of_the_other_stands_in_what_is_answered(
    api: httpx.AsyncClient, stage: Stage, word: str
) -> None:
    """Every `GET` of its own paths, with every filter; and the cursors of a caller who sees all."""
    seen: dict[str, int] = {}
    for one in stage.operations:
        if one.method != "get" or one.is_public or one.path == LIVE:
            continue
        path = stage.mine.path(one.path)
        for query in filters(one, stage.theirs):
            answer = await ask(api, one, path, word, **query)
            assert answer.status_code < 500, f"{one} {query}: {answer.text}"
            if answer.is_success:
                shown(answer, stage, f"{one} {query}")
                seen[str(one)] = seen.get(str(one), 0) + 1
        if "cursor" in one.queries:
            await _cursors(api, one, path, word, stage)
    assert {"GET /orders", "GET /plans", "GET /sagas", "GET /events"} <= seen.keys()


def shown(answer: httpx.Response, stage: Stage, what: str) -> None:
    # The address of the next page repeats the filters that were asked for.
    said = re.sub(r'"next":"[^"]*"', "", answer.text)
    found = [mark for mark in stage.theirs.marks if mark in said]
    assert not found, f"{what} shows {found}: {answer.text[:500]}"


async def _cursors(
    api: httpx.AsyncClient, one: Operation, path: str, word: str, stage: Stage
) -> None:
    everything = await ask(api, one, path, "operator", limit=1)
    for _ in range(4):
        next_ = everything.json().get("next") if everything.is_success else None
        if not next_:
            return
        answer = await api.get(next_, headers=signed_in(word))
        assert answer.status_code < 500, answer.text
        if answer.is_success:
            shown(answer, stage, next_)
        everything = await api.get(next_, headers=signed_in("operator"))


@pytest.mark.parametrize("word", KINDS)
async def test_live_events_are_its_own_alone(
    api: httpx.AsyncClient, stage: Stage, word: str
) -> None:
    for last in ({}, {"Last-Event-ID": "1"}):
        answer = await api.get(
            f"/sagas/{stage.theirs.parked}/events", headers={**signed_in(word), **last}
        )
        problem(answer, 404, "not-found")
    async with api.stream(
        "GET", f"/sagas/{stage.mine.parked}/events", headers=signed_in(word)
    ) as own:
        assert own.status_code == (200 if word == "merchant" else 404)


@pytest.mark.parametrize("word", KINDS)
async def test_what_names_nothing_and_is_not_answered_with_rows_is_not_theirs(
    api: httpx.AsyncClient, house: House, stage: Stage, word: str
) -> None:
    """Such as an intervention in the sagas of all, a payout run, or metrics. A customer lists no
    webhook endpoints, for it has none, and registers none.
    """
    theirs = {"GET /orders", "POST /orders", "GET /plans", "GET /sagas", "GET /events"}
    theirs |= {"GET /webhook-events", "GET /webhook-endpoints"}
    theirs |= {"POST /webhook-endpoints"} if word == "merchant" else set()
    let_in = set()
    for one in stage.operations:
        if "{" in one.path or one.is_public:
            continue
        body = stage.body(one, stage.theirs)
        answer = await ask(api, one, one.path, word, body)
        if answer.status_code != 404:
            let_in.add(str(one))
    assert let_in == theirs


async def test_a_proposal_of_another_is_like_none_beside_an_own_path(
    house: House, stage: Stage
) -> None:
    every = frozenset(HANDRAIL.access.all_scopes)
    principal = Principal("person", "m", every, tenant=stage.mine.shop.merchant)
    async with house.api(authentication=Callers({"m": principal}), four_eyes=True) as api:
        for proposal in (stage.theirs.proposal, "none-at-all"):
            answer = await api.post(
                f"/sagas/{stage.mine.parked}/interventions",
                json={"kind": "skip", "reason": "again", "evidence": "none"},
                headers={
                    **signed_in("m"),
                    "Handrail-Approves": proposal,
                    "Idempotency-Key": a_key(),
                },
            )
            said = problem(answer, 404, "not-found")["detail"]
            assert said == f"there is no proposal {proposal}"
