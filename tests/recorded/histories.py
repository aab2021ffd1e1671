"""Histories of a run as files: of each type of workflow and each way it ended, a few."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowHistory

from tests.recorded.rows import FOLDER, read, write

HISTORIES: Final = FOLDER / "histories"
SUFFIX: Final = ".json.gz"
OF_EACH: Final = 2
"""Histories of one type and ending: the longest ones."""
_PLACES: Final = frozenset({"identity", "stackTrace"})
"""Hosts and folders, which mean nothing elsewhere."""


async def record(
    client: Client, store: psycopg.Connection, folder: Path = HISTORIES
) -> Mapping[str, int]:
    """How many there were of each kind, whether or not they were kept."""
    found: dict[str, list[WorkflowHistory]] = defaultdict(list)
    async for one in client.list_workflows():
        handle = client.get_workflow_handle(one.id, run_id=one.run_id)
        kind = f"{one.workflow_type}-{_ending(store, one)}"
        found[kind].append(await handle.fetch_history())
    for kind, histories in found.items():
        longest = sorted(histories, key=lambda one: (-len(one.events), one.workflow_id))
        for number, history in enumerate(longest[:OF_EACH], start=1):
            path = folder / f"{kind}-{number}{SUFFIX}"
            document = {"workflow": history.workflow_id, **_without_places(history.to_json_dict())}
            text = json.dumps(document, separators=(",", ":")) + "\n"
            write(path, text)
    return {kind: len(histories) for kind, histories in sorted(found.items())}


def document_in(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read(path))
    return found


def history_of(document: Mapping[str, Any]) -> WorkflowHistory:
    events = {name: value for name, value in document.items() if name != "workflow"}
    return WorkflowHistory.from_json(document["workflow"], events)


def _ending(store: psycopg.Connection, one: WorkflowExecution) -> str:
    """By Temporal, and by what the saga's own stream says of it."""
    ended = WorkflowExecutionStatus.COMPLETED
    if one.status not in {ended, WorkflowExecutionStatus.RUNNING}:
        return one.status.name.lower() if one.status else "unknown"
    stored = store.execute(
        "SELECT type, data ->> 'ending' FROM events WHERE stream = %s ORDER BY version",
        (f"saga-{one.id}",),
    ).fetchall()
    words = [] if one.status == ended else ["running"]
    types = [type_ for type_, _ in stored]
    words += [ending for type_, ending in stored if type_ == "SagaEnded"][-1:]
    words += [word for type_, word in _MARKS.items() if type_ in types]
    return "_".join(words) or "ended"


_MARKS: Final = {
    "CancelRequested": "cancelled",
    "AnswerAwaited": "awaited",
    "SagaParked": "parked",
    "SagaResumed": "resumed",
}


def _without_places(value: Any) -> Any:
    match value:
        case {"kind": "TASK_QUEUE_KIND_STICKY"}:
            return {**value, "name": "sticky"}  # the worker's own, which is called by its host
        case dict():
            return {key: _without_places(one) for key, one in value.items() if key not in _PLACES}
        case list():
            return [_without_places(one) for one in value]
        case _:
            return value


def saved(folder: Path = HISTORIES) -> Sequence[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))
