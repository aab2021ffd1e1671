"""The plans of what really ran, functions inside functions included, as PostgreSQL reports them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from handrail.eventstore.pool import Connection


@dataclass
class Plans:
    found: list[dict[str, Any]] = field(default_factory=list)

    def nodes(self) -> Iterator[dict[str, Any]]:
        todo = [one["Plan"] for one in self.found]
        while todo:
            node = todo.pop()
            yield node
            todo += node.get("Plans", [])

    def scanned_whole(self) -> set[str]:
        return {node["Relation Name"] for node in self.nodes() if node["Node Type"] == "Seq Scan"}

    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes() if "Index Name" in node}

    def buffers(self) -> int:
        """Pages touched. A nested statement counts twice, with its caller: all the stricter."""
        return sum(
            one["Plan"]["Shared Hit Blocks"] + one["Plan"]["Shared Read Blocks"]
            for one in self.found
        )

    def __str__(self) -> str:
        return json.dumps([one["Plan"] for one in self.found], indent=1)


@asynccontextmanager
async def plans_of(connection: Connection) -> AsyncIterator[Plans]:
    plans = Plans()

    def note(notice: psycopg.errors.Diagnostic) -> None:
        _, brace, plan = (notice.message_primary or "").partition("{")
        plans.found.append(json.loads(brace + plan))

    for setting in (
        "log_min_duration = 0",
        "log_nested_statements = on",
        "log_analyze = on",
        "log_buffers = on",
        "log_timing = off",
        "log_format = json",
        "log_level = notice",
    ):
        await connection.execute(f"SET auto_explain.{setting}".encode())
    connection.add_notice_handler(note)
    try:
        yield plans
    finally:
        connection.remove_notice_handler(note)
        await connection.execute("SET auto_explain.log_min_duration = -1")
