"""Sums over all rows of a read model, kept beside its rows.

Who reads them pays the same for ten rows and for ten million. In the transaction that writes rows,
the totals change by what those rows add now less what they added before: so they are exact whenever
the rows are, whoever writes. Each shard has totals of its own, and with them one writer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeVar

from sqlalchemy import ARRAY, BigInteger, Column, MetaData, SmallInteger, Table, Text, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from handrail.eventstore.store import shard_of

RowT = TypeVar("RowT")

Key = tuple[str, tuple[str, ...]]
"""A figure, and the values of its labels."""
Adds = Callable[[RowT], Mapping[Key, int]]
"""What a row adds, by figure. Of a figure that never shrinks in any row, the total never does."""
Changes = Mapping[tuple[Key, int], int]
"""By figure and shard."""


def totals_name(rows: str) -> str:
    return f"{rows}_totals"


def totals_table(rows: str) -> Table:
    """Room on every page: an update changes no indexed column, and then stays on its page."""
    return Table(
        totals_name(rows),
        MetaData(),
        Column("figure", Text, primary_key=True),
        Column("labels", ARRAY(Text), primary_key=True),
        Column("shard", SmallInteger, primary_key=True, autoincrement=False),
        Column("total", BigInteger, nullable=False),
        postgresql_with={"fillfactor": 50},
    )


def changes(adds: Adds[RowT], before: Mapping[str, RowT], after: Mapping[str, RowT]) -> Changes:
    """What to add to the totals when the rows `after`, by id, take the place of those `before`."""
    found: Counter[tuple[Key, int]] = Counter()
    for id_, row in after.items():
        shard = shard_of(f"-{id_}")
        for key, amount in adds(row).items():
            found[key, shard] += amount
        for key, amount in adds(before[id_]).items() if id_ in before else ():
            found[key, shard] -= amount
    return {one: amount for one, amount in found.items() if amount}


async def totals(connection: AsyncConnection, table: Table) -> Mapping[Key, int]:
    """Over all shards."""
    query = select(table.c.figure, table.c.labels, func.sum(table.c.total))
    found = await connection.execute(query.group_by(table.c.figure, table.c.labels))
    return {(figure, tuple(labels)): int(total) for figure, labels, total in found}
