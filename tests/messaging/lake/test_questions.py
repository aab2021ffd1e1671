"""Questions to the lake: answered from its files, and checked against the events themselves."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest

from consumers.lake_questions import (
    ARREARS,
    DELIVERY,
    QUESTIONS,
    REFUSALS,
    VINTAGES,
)
from consumers.lake_report.plan import LAKE
from domain.identifiers import CustomerId, OrderId, ReturnId
from domain.ordering.events import OrderPlaced
from domain.payments.events import (
    AdjustmentReverted,
    InstalmentCollected,
    InstalmentMissed,
    InstalmentRescheduled,
    PlanAdjusted,
    PlannedInstalment,
    PlanOpened,
    PlanSettled,
    Reduction,
)
from domain.shipping.events import (
    ShipmentBooked,
    ShipmentDeclined,
    ShipmentDelivered,
    ShipmentLost,
)
from handrail.cli import lake_output
from handrail.eventstore.codec import Codec
from handrail.evolution.changes import NewVersion
from handrail.evolution.fields import FieldsConverted
from handrail.kernel import Event, Money, Refusal, TenantId
from handrail.lake.page import page
from handrail.lake.plan import Views, view_name
from handrail.lake.questions import ask
from handrail.lake.reading import NoLake, open_lake
from handrail.lake.select_only import NotAQuery
from handrail.sagas.events import SagaStarted
from runtime.app import HANDRAIL
from tests.controls import NOON, eur
from tests.messaging.lake.history import Told, happens
from tests.messaging.lake.place import FIRST, Place
from tests.messaging.routed import routed

VIEWS = HANDRAIL.lake_views(LAKE)

LATER = FIRST + timedelta(days=120)


def answered(place: Place, sql: str, as_of: datetime = LATER) -> list[dict[str, Any]]:
    with open_lake(place.folder, VIEWS, as_of=as_of) as lake:
        return ask(lake, sql).records()


Months = tuple[Place, list[Told]]


@pytest.mark.thorough
async def test_every_kind_of_event_is_a_table_with_its_fields(months: Months) -> None:
    place, told = months
    happened = Counter(type(one.event).__name__ for one in told)
    counts = " UNION ALL ".join(
        f"SELECT '{name}', count(*) FROM {view_name(name)}" for name in sorted(happened)
    )
    with open_lake(place.folder, VIEWS) as lake:
        assert dict(ask(lake, counts).rows) == happened
        named = ask(lake, "SELECT table_name FROM information_schema.tables").rows
    assert {view_name(event.__name__) for event in HANDRAIL.events} <= {name for (name,) in named}
    [one] = answered(place, 'SELECT * FROM plan_opened ORDER BY "position" LIMIT 1')
    first = next(one.event for one in told if isinstance(one.event, PlanOpened))
    assert one["order"] == first.order
    assert one["instalments"] == [
        {"number": i.number, "due": i.due, "amount": {"amount": 25_00, "currency": "EUR"}}
        for i in first.instalments
    ]


async def test_refusals_are_counted_by_reason_and_merchant(months: Months) -> None:
    place, told = months
    merchants = {one.saga: one.event.tenant for one in told if isinstance(one.event, SagaStarted)}
    expected = Counter(
        (merchants[one.saga], words(one.event))
        for one in told
        if isinstance(one.event, Refusal) and not isinstance(one.event, InstalmentMissed)
    )
    begun = Counter(merchants.values())

    found = answered(place, REFUSALS.sql)

    assert {(one["merchant"], one["reason"]): one["refusals"] for one in found} == expected
    assert [one["refusals"] for one in found] == sorted(expected.values(), reverse=True)
    for one in found:
        share = 100 * one["refusals"] / begun[one["merchant"]]
        assert one["percent_of_processes"] == pytest.approx(share, abs=0.051)


def words(event: Event) -> str:
    said = re.sub("(?<!^)(?=[A-Z])", " ", type(event).__name__).lower()
    return f"{said}: {event.code}" if hasattr(event, "code") else said


@pytest.mark.thorough
async def test_the_time_to_delivery_is_told_by_week(months: Months) -> None:
    place, told = months
    of: defaultdict[type, dict[str, Any]] = defaultdict(dict)
    for happened in told:
        of[type(happened.event)][happened.saga] = happened.event
    weeks: defaultdict[date, list[float]] = defaultdict(list)
    for order, placed in of[OrderPlaced].items():
        if order in of[ShipmentDelivered]:
            took = of[ShipmentDelivered][order].at - placed.placed_at
            week = placed.placed_at.date() - timedelta(days=placed.placed_at.weekday())
            weeks[week].append(took.total_seconds() / 3600)

    found = answered(place, DELIVERY.sql)

    assert {one["week"]: one["slowest_hours"] for one in found if one["delivered"]} == {
        week: pytest.approx(max(hours), abs=0.01) for week, hours in weeks.items()
    }
    assert sum(one["booked"] for one in found) == len(of[ShipmentBooked])
    assert sum(one["lost"] for one in found) == len(of[ShipmentLost])
    for one in found:
        assert one["booked"] == one["delivered"] + one["lost"] + one["under_way"]


@pytest.mark.thorough
async def test_arrears_follow_what_became_of_each_instalment(place: Place) -> None:
    """Moved, made smaller and made whole again, paid, settled, missed."""
    at = datetime(2026, 1, 20, tzinfo=UTC)

    async def told(order: str, when: datetime, *events: Event) -> None:
        await place.on_record(when, f"plan-{order}", *events, saga=order)

    for order in ("paid", "moved", "smaller", "whole", "settled", "missed"):
        await told(order, at, plan(order))
    await told("paid", at, *(collected("paid", number) for number in (1, 2, 3)))
    moved = InstalmentRescheduled(order=OrderId("moved"), number=1, due=date(2026, 9, 1))
    await told("moved", at, moved)
    await told("smaller", at, returned("smaller"))
    await told("whole", at, returned("whole"))
    again = AdjustmentReverted(
        order=OrderId("whole"), return_id=ReturnId("r"), instalments=planned()[2:]
    )
    await told("whole", at, again)
    settled = PlanSettled(order=OrderId("settled"), principal=eur(75_00), fees=eur(0), charge="c")
    await told("settled", at, settled)
    await place.export()

    [seen] = answered(place, ARREARS.sql, datetime(2026, 4, 20, tzinfo=UTC))

    # due: all three of all six, but the one that was moved and the 10 that a return took off
    assert seen == {
        "cohort": date(2026, 1, 1),
        "currency": "EUR",
        "plans": 6,
        "due": 6 * 75 - 25 - 10,
        "paid": 75 + 75,
        "late_30_days": 2 * 25 + 25 + 15,
        "late_60_days": 25 * 4,
        "later": 25 * 3,
        "lost": 0,
        "percent_late": pytest.approx(100 * (90 + 100 + 75) / 415, abs=0.01),
    }
    [before] = answered(place, ARREARS.sql, datetime(2026, 1, 25, tzinfo=UTC))
    assert (before["due"], before["percent_late"]) == (0, None)


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("currency", "due"), [("EUR", 75.0), ("JPY", 7500.0), ("KWD", 7.5), ("CLF", 0.75)]
)
async def test_amounts_have_the_decimal_places_of_their_currency(
    place: Place, currency: str, due: float
) -> None:
    foreign = tuple(replace(one, amount=Money(25_00, currency)) for one in planned())
    opened = replace(plan("one"), instalments=foreign)
    await place.on_record(datetime(2026, 1, 20, tzinfo=UTC), "plan-one", opened, saga="one")
    await place.export()
    later = datetime(2026, 7, 1, tzinfo=UTC)
    assert [one["due"] for one in answered(place, ARREARS.sql, later)] == [due]
    assert [one["due"] for one in answered(place, VINTAGES.sql, later)][-1] == due


@pytest.mark.thorough
async def test_what_came_back_after_a_settlement_is_an_instalment_that_is_not_paid(
    place: Place,
) -> None:
    at = datetime(2026, 1, 20, tzinfo=UTC)
    settled = PlanSettled(order=OrderId("one"), principal=eur(65_00), fees=eur(0), charge="c")
    back = replace(planned()[2], number=4, amount=eur(10_00))
    again = AdjustmentReverted(order=OrderId("one"), return_id=ReturnId("r"), instalments=(back,))
    for event in (plan("one"), returned("one"), settled, again):
        await place.on_record(at, "plan-one", event, saga="one")
    await place.export()
    numbers = "SELECT number, amount, paid_at IS NOT NULL FROM instalments ORDER BY number"
    with open_lake(place.folder, VIEWS, as_of=LATER) as lake:
        assert ask(lake, numbers).rows == [
            (1, 25_00, True),
            (2, 25_00, True),
            (3, 15_00, True),
            (4, 10_00, False),
        ]
    second = replace(settled, principal=eur(10_00))
    await place.on_record(at, "plan-one", second, saga="one")
    await place.export()
    with open_lake(place.folder, VIEWS, as_of=LATER) as lake:
        assert [paid for *_, paid in ask(lake, numbers).rows] == [True] * 4


def planned() -> tuple[PlannedInstalment, ...]:
    dues = (date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1))
    return tuple(
        PlannedInstalment(number=number, due=due, amount=eur(25_00))
        for number, due in enumerate(dues, start=1)
    )


def plan(order: str) -> PlanOpened:
    who = CustomerId("c")
    return PlanOpened(order=OrderId(order), customer=who, card="card", instalments=planned())


def collected(order: str, number: int) -> InstalmentCollected:
    of = OrderId(order)
    return InstalmentCollected(
        order=of, number=number, principal=eur(25_00), fees=eur(0), charge="c"
    )


def returned(order: str) -> PlanAdjusted:
    return PlanAdjusted(
        order=OrderId(order),
        return_id=ReturnId("r"),
        value=eur(10_00),
        absorbed=eur(10_00),
        refund=eur(0),
        reductions=(Reduction(number=3, amount=eur(10_00)),),
    )


async def test_the_lake_tells_what_was_known_then(months: Months) -> None:
    place, told = months
    then = FIRST + timedelta(days=40)
    [one] = answered(place, "SELECT count(*) AS n, max(recorded_at) AS last FROM events", then)
    known = [one.at for one in told if one.at <= then]
    assert one == {"n": len(known), "last": max(known)}


@pytest.mark.thorough
async def test_only_the_files_of_the_days_and_contexts_that_are_asked_for_are_opened(
    months: Months,
) -> None:
    place, _ = months
    day = f"{FIRST:%F}"
    with open_lake(place.folder, VIEWS) as lake:
        [[_, asked]] = ask(
            lake, f"EXPLAIN ANALYZE SELECT max(data) FROM events WHERE day = '{day}'"
        ).rows
        [[_, typed]] = ask(lake, "EXPLAIN ANALYZE SELECT max(missing) FROM credit_refused").rows
    files = place.table().file_uris()
    for plan_, part in ((asked, f"day={day}/"), (typed, "context=credit/")):
        [opened] = re.findall(r"Total Files Read: (\d+)", plan_)
        assert int(opened) == sum(part in file for file in files) < len(files)


@dataclass(frozen=True, kw_only=True)
class Weighed(Event, context="credit"):
    """In version 1 it had a `weight` in kilograms."""

    grams: int


async def test_events_of_older_versions_are_read_as_the_newest(place: Place) -> None:
    for version, data in ((1, '{"weight": 2}'), (2, '{"grams": 500}')):
        await place.sql.execute(
            "WITH e AS (INSERT INTO events (stream, version, shard, type, schema, data, metadata)"
            " VALUES ('x-1', %s, 0, 'Weighed', %s, %s, '{}') RETURNING position, txid, shard)"
            " INSERT INTO outbox SELECT position, txid, shard FROM e",
            (version, version, data),
        )
    await place.export(routing=routed(Weighed="credit"))
    to_grams = FieldsConverted(
        ("weight",),
        ("grams",),
        lambda old: {"grams": 1000 * old["weight"]},
        lambda new: {"weight": new["grams"] / 1000},
    )
    codec = Codec.of([Weighed], [NewVersion("Weighed", 2, (to_grams,))])
    with open_lake(place.folder, Views([Weighed], codec, {})) as lake:
        found = ask(lake, "SELECT version, grams FROM weighed ORDER BY version").rows
    assert found == [(1, 2000), (2, 500)]


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{lake}/x.csv'",
        "DROP VIEW events",
        "SET enable_external_access = true",
        "SELECT 1; SELECT 2",
        "INSTALL delta",
    ],
)
async def test_nothing_but_a_question_is_answered(sql: str, months: Months) -> None:
    place, _ = months
    with open_lake(place.folder, VIEWS) as lake, pytest.raises(NotAQuery):
        ask(lake, sql.format(lake=place.folder))


async def test_a_question_reads_no_other_files(months: Months, tmp_path: Path) -> None:
    place, _ = months
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with open_lake(place.folder, VIEWS) as lake, pytest.raises(duckdb.PermissionException):
        ask(lake, f"SELECT * FROM read_csv('{secret}')")


async def test_an_empty_lake_answers_nothing_and_a_missing_one_says_how_to_make_it(
    place: Place,
) -> None:
    with pytest.raises(NoLake, match="handrail lake export --once"), open_lake(place.folder, VIEWS):
        pass
    await place.export()
    with open_lake(place.folder, VIEWS) as lake:
        for question in QUESTIONS:
            assert ask(lake, question.sql).rows == [], question
        assert page(lake, LAKE, NOON).count("Nothing of the kind has happened yet.") == 4


class Page(HTMLParser):
    """Whether all that was opened is closed, and what is shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: Counter[str] = Counter()
        self.numbers: list[float] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] += 1
        if tag not in {"meta", "link"}:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"x", "y", "cx", "cy", "x1", "x2", "y1", "y2"}:
                self.numbers.append(float(value or "nan"))
            if name in {"src", "href"}:
                assert (value or "").startswith("#"), "the page needs nothing else"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.thorough
async def test_the_report_is_one_page_with_a_chart_for_each_question(months: Months) -> None:
    place, _ = months
    with open_lake(place.folder, VIEWS, as_of=LATER) as lake:
        text = page(lake, LAKE, LATER)
        assert page(lake, LAKE, LATER) == text
    assert _complete(text).counts["svg"] == 3
    assert "Nothing of the kind" not in text


@pytest.mark.quick(1)
@pytest.mark.parametrize(("days", "orders"), [(60, 3), (1, 2)])
async def test_a_report_of_little_is_complete_too(days: int, orders: int, place: Place) -> None:
    await happens(place, FIRST, days, orders)
    await place.export()
    with open_lake(place.folder, VIEWS, as_of=LATER) as lake:
        text = page(lake, LAKE, LATER)
    assert _complete(text).counts["svg"] >= 1
    assert "Nothing of the kind" in text


def _complete(text: str) -> Page:
    found = Page(text)
    assert found.open == []
    assert found.counts["section"] == 4
    assert found.counts["script"] == 0
    assert text.count("url(") == text.count("url(#")
    assert all(0 <= one <= 900 for one in found.numbers)
    return found


@pytest.mark.thorough
async def test_a_name_from_elsewhere_is_shown_as_it_is(place: Place) -> None:
    bad = "<script>alert(1)</script>"
    started = SagaStarted(
        saga="o",
        saga_type="Checkout",
        shape=1,
        attempt=1,
        tenant=TenantId(bad),
        at_stake=eur(1),
        actor="a",
    )
    await place.on_record(FIRST, "saga-o", started, saga="o")
    await place.on_record(
        FIRST, "shipment-o", ShipmentDeclined(order=OrderId("o"), code=bad), saga="o"
    )
    await place.export()
    with open_lake(place.folder, VIEWS) as lake:
        text = page(lake, LAKE, NOON)
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text


@pytest.mark.thorough
async def test_the_commands_answer(
    months: Months, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, _ = months
    code, said = await place.ended(await place.process("query", "refusals", "--json"))
    assert code == 0
    answer = json.loads(said.splitlines()[-1])
    assert answer["rows"]
    assert set(answer["rows"][0]) == set(answer["columns"])

    assert lake_output.answer(HANDRAIL, place.folder, "arrears", LATER, json=False) == 0
    shown = capsys.readouterr().out
    assert "Instalment arrears by cohort" in shown
    assert "2026-01-01" in shown

    file = tmp_path / "report.html"
    assert lake_output.write_report(HANDRAIL, place.folder, file, LATER) == 0
    assert capsys.readouterr().out.strip() == str(file)
    assert file.read_text().startswith("<!doctype html>")

    assert lake_output.answer(HANDRAIL, place.folder, "SELECT * FROM nobody", None, json=False) == 1
    assert "Table with name nobody does not exist" in capsys.readouterr().err
