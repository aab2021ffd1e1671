"""What operators did, on a page and as a file: who, what, why, and with what outcome."""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from io import StringIO
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from handrail.audit import act_search
from handrail.audit.act_search import ActFilter, search
from handrail.audit.acts import AuditEvent, OperatorActAnswered, OperatorActRequested
from handrail.audit.append_audit import APPEND_AUDIT, parameters
from handrail.console.routes import audit
from runtime.app import HANDRAIL
from tests.api.callers import Callers, caller, signed_in
from tests.api.conftest import House
from tests.console.conftest import CONSOLE_PATIENCE
from tests.console.parked import Parked, form, shown, submit, text_of

FIELDS = "at,stream,version,request,principal,acting_for,act,target,origin,reason,outcome,status"


@dataclass
class Desk:
    """An API with callers of their own, and how its page of the audit is read."""

    api: httpx.AsyncClient
    anna: str = field(default_factory=lambda: f"anna-{uuid4().hex[:8]}")

    async def rows(self, **asked: Any) -> list[str]:
        """The texts of the rows of a page, newest first."""
        path = str(httpx.URL("/console/audit", params=asked))
        body = (await shown(self.api, path)).partition("<tbody>")[2]
        return [text_of(one) for one in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)]

    async def acts(self, *reasons: str) -> None:
        """Of anna, one for each reason: a saga that is not there is to be cancelled."""
        for one in reasons:
            await self.api.post(
                "/sagas/none/cancellation", json={"reason": one}, headers=signed_in("anna")
            )


@pytest.fixture
async def desk(house: House) -> AsyncIterator[Desk]:
    anna = f"anna-{uuid4().hex[:8]}"
    known = Callers(
        {
            "anna": caller(anna, "operator"),
            "rita": caller(f"rita-{anna}", "reader"),
            "team": caller(f"m-{anna}", "merchant", "reader", tenant="m-1"),
        }
    )
    async with house.api(authentication=known, **CONSOLE_PATIENCE) as api:
        api.headers.update(signed_in("rita"))
        yield Desk(api, anna)


async def test_an_act_is_shown_with_its_principal_target_reason_and_outcome(desk: Desk) -> None:
    await desk.acts("a ticket")
    [row] = await desk.rows(principal=f"person:{desk.anna}")
    assert f"person:{desk.anna} POST /sagas/{{saga}}/cancellation /sagas/none/cancellation" in row
    assert "a ticket failed 404, not-found http 127.0.0.1" in row


async def test_an_act_leads_to_its_event_and_that_to_its_outcome(desk: Desk) -> None:
    await desk.acts("a ticket")
    html = await shown(desk.api, f"/console/audit?principal=person:{desk.anna}")
    [address] = re.findall(r'href="(/console/events/audit-[^"]+)"', html)
    said = text_of(await shown(desk.api, address))
    assert '"reason": "a ticket"' in said
    assert "Operator act answered audit-" in said


async def test_what_is_done_with_a_form_of_the_console_is_audited_with_its_reason(
    desk: Desk, parked: Parked
) -> None:
    operator = signed_in("anna")
    page = await desk.api.get(f"/console/sagas/{parked.saga}", headers=operator)
    await submit(desk.api, form(page.text, "Retry"), operator, reason="the carrier is back")
    assert f"/console/audit?target={parked.saga}" in page.text
    [row] = await desk.rows(principal=f"person:{desk.anna}", target=parked.saga)
    assert "the carrier is back done 303" in row


async def test_a_refusal_is_shown_with_what_was_lacking(desk: Desk) -> None:
    for _ in range(2):
        await desk.api.post("/sagas/none/cancellation", json={})
    [row] = await desk.rows(principal=f"person:rita-{desk.anna}")
    assert "refused scope-missing" in row


async def test_each_filter_leaves_out_what_does_not_match(desk: Desk) -> None:
    who = f"person:{desk.anna}"
    await desk.acts("one")
    assert len(await desk.rows(principal=who, outcome="failed", act="CANCELLATION")) == 1
    for other in (
        {"principal": f"{who}x"},
        {"principal": who, "outcome": "done"},
        {"principal": who, "act": "retry"},
        {"principal": who, "target": "some"},
        {"principal": who, "until": "2020-01-01T00:00"},
        {"principal": who, "since": "2099-01-01T00:00"},
    ):
        assert await desk.rows(**other) == ["No act matches."], other


async def test_pages_go_on_where_the_page_before_ended(desk: Desk) -> None:
    wanted = [f"reason {number}" for number in range(5)]
    await desk.acts(*wanted)
    path, found = f"/console/audit?principal=person:{desk.anna}&limit=2", ""
    while path:
        html = await shown(desk.api, path)
        found += text_of(html)
        following = re.search(r'rel="next" href="([^"]+)"', html)
        path = unescape(following[1]) if following else ""
    assert re.findall(r"reason \d", found) == wanted[::-1]


async def test_a_file_has_every_act_that_matches_in_clear_and_says_that_it_is_all(
    desk: Desk,
) -> None:
    await desk.acts("one", "=2+3")
    asked = {"principal": f"person:{desk.anna}"}
    answer = await desk.api.get("/console/audit/export", params=asked)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="audit-all.csv"'
    assert answer.text.startswith(FIELDS)
    assert [one["reason"] for one in csv.DictReader(StringIO(answer.text))] == ["'=2+3", "one"]

    lines = await desk.api.get("/console/audit/export", params={**asked, "format": "jsonl"})
    assert lines.headers["content-disposition"] == 'attachment; filename="audit-all.jsonl"'
    rows = [orjson.loads(one) for one in lines.text.splitlines()]
    assert [(one["reason"], one["status"]) for one in rows] == [("=2+3", 404), ("one", 404)]


@pytest.mark.thorough
async def test_a_file_is_bounded_and_its_name_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "EXPORTED", 2)
    await desk.acts("one", "two", "three")
    answer = await desk.api.get(
        "/console/audit/export", params={"principal": f"person:{desk.anna}", "format": "jsonl"}
    )
    assert 'filename="audit-newest-2.jsonl"' in answer.headers["content-disposition"]
    assert [orjson.loads(one)["reason"] for one in answer.text.splitlines()] == ["three", "two"]


async def test_a_principal_that_is_confined_sees_no_acts(desk: Desk) -> None:
    await desk.acts("one")
    desk.api.headers.update(signed_in("team"))
    assert await desk.rows() == ["No act matches."]
    answer = await desk.api.get("/console/audit/export?format=jsonl")
    assert answer.text == ""


class Days:
    """Acts of days long ago, which no other test looks at."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.who = f"login:{uuid4().hex[:8]}"

    async def store(self, event: AuditEvent, day: str) -> None:
        asked = parameters(HANDRAIL.codec, event)
        stream = {**orjson.loads(asked["stream"]), "name": f"audit-{day}"}
        asked["stream"] = orjson.dumps(stream).decode()
        async with self.house.engine.connect() as connection:
            await connection.execute(APPEND_AUDIT, asked)

    async def act(self, day: str, target: str, code: int | None = 0) -> None:
        """With its outcome, or with none."""
        said = {"request": target, "act": "handrail keys create", "principal": self.who}
        await self.store(OperatorActRequested(**said, target=target, origin="cli ann@desk"), day)
        if code is not None:
            await self.store(OperatorActAnswered(**said, status=code), day)

    async def found(self, limit: int = 50, **asked: Any) -> tuple[list[str], int]:
        """The targets of all pages, and how many pages there were."""
        found, pages, before = [], 0, None
        while pages == 0 or before is not None:
            async with self.house.engine.connect() as connection:
                page = await search(
                    connection, ActFilter(principal=self.who, **asked), before=before, limit=limit
                )
            found += [f"{one.target} {one.outcome}" for one in page.acts]
            before, pages = page.next, pages + 1
        return found, pages


@pytest.mark.thorough
async def test_days_follow_each_other_however_few_events_a_page_looks_at(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = Days(house)
    await days.act("2001-02-03", "a")
    await days.act("2001-02-03", "b", code=1)
    await days.act("2001-02-28", "c", code=None)
    await days.act("2001-03-01", "d")
    wanted = ["d done", "c unknown", "b failed", "a done"]
    soon = datetime.now(UTC) + timedelta(days=1)
    assert (await days.found(until=soon))[0] == wanted
    for looked_at in (1, 2, 3, 4):
        monkeypatch.setattr(act_search, "LOOKED_AT", looked_at)
        assert (await days.found(until=soon))[0] == wanted, looked_at
        assert (await days.found(limit=1))[0] == wanted, looked_at
    assert (await days.found(outcome="unknown"))[0] == ["c unknown"]


async def test_the_outcome_of_a_request_that_came_twice_is_each_its_own(house: House) -> None:
    days = Days(house)
    for code in (1, 0):
        await days.act("2001-05-05", "same", code=code)
    assert (await days.found())[0] == ["same done", "same failed"]
