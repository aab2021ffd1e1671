"""What a migration does that stops writers for long, or breaks the release before: seen by running
it, in the locks that it takes and the files that it writes anew.

A team calls `mistakes_of` with the revisions that its next release adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event

from handrail.eventstore.business_tables import BusinessTables
from handrail.migrations import configured

_BLOCKING: Final = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock")
_FLAGS: Final = re.DOTALL | re.IGNORECASE
_VALIDATED_AT_ONCE: Final = re.compile(
    r"\bADD\s+CONSTRAINT\b(?!.*\bNOT\s+VALID\b)(?!.*\bUSING\s+INDEX\b)", _FLAGS
)
_NOT_NULL: Final = re.compile(r"\bSET\s+NOT\s+NULL\b", _FLAGS)
_TAKEN_AWAY: Final = re.compile(r"\bRENAME\s+(TO|COLUMN)\b|\bDROP\s+COLUMN\b", _FLAGS)


@dataclass(frozen=True)
class Held:
    """A table of before, what it is stored in, and the strongest lock on it."""

    name: str
    file: int
    lock: str = ""


def revisions_after(
    baseline: str, own: BusinessTables | None = None
) -> Sequence[tuple[str, ModuleType]]:
    """The revisions that come after one, of its branch, the oldest first, by their names."""
    scripts = ScriptDirectory.from_config(configured(None, own))
    found = [one for one in scripts.walk_revisions(baseline, "heads") if one.revision != baseline]
    of_branch = [one for one in found if baseline in _before(scripts, one.revision)]
    return [(Path(one.path).stem, one.module) for one in reversed(of_branch)]


def mistakes_of(connection: Connection, name: str, revision: ModuleType) -> list[str]:
    """Runs the revision in a transaction that is open, and says what no migration may do to a table
    that processes work with; nothing where it may run beside them.
    """
    before = {one.name: one for one in _tables(connection)}
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    try:
        with Operations.context(MigrationContext.configure(connection)):
            revision.upgrade()
    finally:
        event.remove(connection, "before_cursor_execute", note)
    after = {one.name: one for one in _tables(connection)}
    contracts = "contract" in name
    return [
        f"{name}: {said}" for said in _mistakes(before, after, "\n".join(sent), contracts=contracts)
    ]


def _mistakes(
    before: dict[str, Held], after: dict[str, Held], sent: str, *, contracts: bool
) -> Iterator[str]:
    for table, was in before.items():
        now = after.get(table)
        if now is None:
            if not contracts:
                yield _goes(table)
            continue
        if now.file != was.file:
            yield (
                f"writes {table} anew under a lock that stops everybody: a new column gets a"
                " constant default or none, and a type is changed by way of a second column"
            )
        elif now.lock in _BLOCKING:
            yield (
                f"holds {now.lock} on {table}, so no row is written meanwhile: an index of a table"
                " in use is built CONCURRENTLY, outside of the migration"
            )
        elif now.lock == "AccessExclusiveLock":
            if _VALIDATED_AT_ONCE.search(sent):
                yield (
                    f"reads every row of {table}: add the constraint NOT VALID, and VALIDATE it in"
                    " a later revision"
                )
            if _NOT_NULL.search(sent):
                yield (
                    f"reads every row of {table}: add CHECK (… IS NOT NULL) NOT VALID instead, and"
                    " VALIDATE it in a later revision"
                )
            if not contracts and _TAKEN_AWAY.search(sent):
                yield _goes(table)


def _goes(table: str) -> str:
    return (
        f"takes something of {table} away that the release before may use: it goes in a later"
        " release, in a revision with `contract` in its name"
    )


def _tables(connection: Connection) -> list[Held]:
    rows = connection.exec_driver_sql(
        """
        SELECT c.relname, coalesce(pg_relation_filenode(c.oid), 0), coalesce((
            SELECT l.mode FROM pg_locks l
            WHERE l.relation = c.oid AND l.pid = pg_backend_pid() AND l.mode = ANY (%(modes)s)
            ORDER BY array_position(%(modes)s, l.mode) LIMIT 1), '')
        FROM pg_class c
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
        """,
        {"modes": ["AccessExclusiveLock", *_BLOCKING]},
    )
    return [Held(*row) for row in rows]


def _before(scripts: ScriptDirectory, revision: str) -> set[str]:
    return {one.revision for one in scripts.iterate_revisions(revision, "base")}
