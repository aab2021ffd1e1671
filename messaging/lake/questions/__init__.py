"""The ready questions: each is a file of SQL, which may be copied and changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from messaging.lake.reading import Connection


@dataclass(frozen=True)
class Question:
    name: str
    title: str

    @property
    def sql(self) -> str:
        return (files(__name__) / f"{self.name}.sql").read_text()


@dataclass(frozen=True)
class Answer:
    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


REFUSALS: Final = Question("refusals", "Refusals by reason and merchant")
DELIVERY: Final = Question("delivery", "Time from order to delivery")
ARREARS: Final = Question("arrears", "Instalment arrears by cohort")
VINTAGES: Final = Question("vintages", "Arrears by cohort and months since the plans were opened")

QUESTIONS: Final = {one.name: one for one in (REFUSALS, DELIVERY, ARREARS, VINTAGES)}


class NotAQuery(ValueError):
    """The lake is read only: one SELECT."""


def ask(connection: Connection, sql: str) -> Answer:
    """Raises NotAQuery, and duckdb.Error for what DuckDB cannot answer."""
    statements = connection.extract_statements(sql)
    if [one.type.name for one in statements] not in (["SELECT"], ["EXPLAIN"]):
        raise NotAQuery("the lake is asked by one SELECT at a time; nothing in it is changed")
    result = connection.execute(sql)
    described = result.description or []
    return Answer([one[0] for one in described], result.fetchall())
