"""No page reads a table as a whole that grows with the business: each statement has an index.

Planned without sequential scans, so that it does not depend on how little a test stores. An index
that is read from end to end counts as the whole table, unless a limit ends that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api.conftest import House
from tests.console.parked import Parked
from tests.console.test_costs import AT_MOST, engine, own

__all__ = ["engine", "own"]

GROWS: Final = re.compile(
    r"events|streams|outbox.*|commands.*|order_status|merchant_balance|customer_account|saga_board|"
    r"saga_figures|intervention_board|webhooks|notifications.*|requests|moments|kept_totals|"
    r".*_earlier_keys"
)
_STARTS: Final = ("SELECT", "WITH", "(SELECT")
_BREAKS: Final = ("Sort", "Aggregate", "Hash", "Unique", "SetOp", "WindowAgg", "Materialize")
"""Nodes that read all that is below them, whatever limit is above."""


def _has_condition(plan: Mapping[str, Any], partial: AbstractSet[str]) -> bool:
    """Whether an index finds the rows; of a bitmap, each index that it is made from."""
    if plan["Node Type"] in {"Bitmap Heap Scan", "BitmapOr", "BitmapAnd"}:
        return all(_has_condition(one, partial) for one in plan["Plans"])
    return "Index Cond" in plan or plan.get("Index Name") in partial


def read_whole(
    plan: Mapping[str, Any], partial: AbstractSet[str], *, limited: bool = False
) -> Iterator[str]:
    """The tables that a plan reads from end to end. A `partial` index has what it was made for
    alone, such as what is parked.
    """
    kind, table = plan["Node Type"], plan.get("Relation Name", "")
    is_scan = kind in {"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
    if is_scan and not _has_condition(plan, partial) and not limited and GROWS.fullmatch(table):
        yield table
    below = kind == "Limit" or (limited and kind not in _BREAKS)
    for one in plan.get("Plans", []):
        yield from read_whole(one, partial, limited=below)


async def partial_indexes(house: House) -> AbstractSet[str]:
    found = await house.sql(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indpred IS NOT NULL"
    )
    return {name for (name,) in found}


async def plan_of(engine: AsyncEngine, statement: str, parameters: Any) -> Mapping[str, Any]:
    async with engine.connect() as connection:
        await connection.execute(text("SET enable_seqscan = off"))
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        cursor = await driver.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
        [(found,)] = await cursor.fetchall()
        await connection.execute(text("RESET enable_seqscan"))
        return dict(found[0]["Plan"])


async def statements_of(
    own: httpx.AsyncClient, engine: AsyncEngine, path: str
) -> Sequence[tuple[str, Any]]:
    """The queries of a page, and their parameters."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().startswith(_STARTS):
            sent.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        answer = await own.get(path)
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)
    assert answer.status_code in {200, 303}, answer.text
    return sent


@pytest.mark.quick(4)
@pytest.mark.parametrize(
    "path",
    [
        *AT_MOST,
        "/orders?as_of=2100-01-01T00:00:00Z&merchant={merchant}",
        "/plans?as_of=2100-01-01T00:00:00Z",
        "/sagas?as_of=2100-01-01T00:00:00Z&status=parked",
        "/merchants/{merchant}/stock?as_of=2100-01-01T00:00:00Z",
        "/interventions?as_of=2100-01-01T00:00:00Z",
    ],
)
async def test_no_page_reads_what_grows_as_a_whole(
    house: House, own: httpx.AsyncClient, engine: AsyncEngine, parked: Parked, path: str
) -> None:
    asked = path.format(saga=parked.saga, merchant=parked.shop.merchant)
    sent = await statements_of(own, engine, asked)
    partial = await partial_indexes(house)
    whole = {
        table: statement
        for statement, parameters in sent
        for table in read_whole(await plan_of(house.engine, statement, parameters), partial)
    }
    assert not whole


@pytest.mark.usefixtures("stays_parked")
async def test_sagas_of_a_rare_type_are_not_looked_for_among_all_others(
    house: House, own: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """A limit ends nothing where there are fewer."""
    sent = await statements_of(own, engine, "/console/sagas?saga_type=WriteOff")
    [of_board] = [one for one in sent if "FROM saga_board" in one[0]]
    plan = await plan_of(house.engine, *of_board)
    assert plan["Node Type"] == "Limit"
    assert list(read_whole(plan["Plans"][0], await partial_indexes(house))) == []


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("SELECT * FROM events WHERE type = 'any'", ["events"]),
        ("SELECT count(*) FROM streams", ["streams"]),
        ("SELECT * FROM (SELECT * FROM events ORDER BY type LIMIT 5) e", ["events"]),
        ("SELECT * FROM events ORDER BY position DESC LIMIT 5", []),
        ("SELECT * FROM events WHERE stream = 'order-1'", []),
    ],
)
async def test_a_statement_that_reads_all_of_a_table_is_found(
    house: House, statement: str, tables: list[str]
) -> None:
    plan = await plan_of(house.engine, statement, None)
    assert list(read_whole(plan, await partial_indexes(house))) == tables
