"""A read model is the fold of exactly the events that its checkpoints have seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import orjson

from handrail.eventstore.store import shard_of
from handrail.verify.evidence import SagaEvidence, Seen
from handrail.verify.violations import Violation


def read_models_equal_fold(evidence: SagaEvidence) -> Iterator[Violation]:
    """A read model is the fold of exactly the events that its checkpoints have seen."""
    for name in sorted(evidence.folds.keys() | evidence.rows.keys()):
        fold = evidence.folds.get(name)
        expected = None if fold is None else as_json(asdict(fold))
        row = evidence.rows.get(name)
        found = None if row is None else as_json(row)
        if expected != found:
            yield Violation(f"{name} {evidence.id}: {_difference(expected, found)}")


def seen_by(checkpoints: Iterable[Mapping[str, Any]]) -> Seen:
    """`checkpoints` are rows with `projection`, `shard`, `since`, `until` and `after_position`."""
    cursors = {
        (row["projection"], row["shard"]): (
            _Snapshot(row["since"]),
            _Snapshot(row["until"]) if row["until"] else None,
            row["after_position"],
        )
        for row in checkpoints
    }

    def seen(projection: str, txid: int, position: int, stream: str) -> bool:
        cursor = cursors.get((projection, shard_of(stream)))
        if cursor is None:
            return False
        since, until, after = cursor
        return since.sees(txid) or (until is not None and position <= after and until.sees(txid))

    return seen


class _Snapshot:
    """`xmin:xmax:xip,…`, as PostgreSQL writes it."""

    def __init__(self, text: str) -> None:
        _, xmax, running = text.split(":")
        self._xmax = int(xmax)
        self._running = {int(txid) for txid in running.split(",") if txid}

    def sees(self, txid: int) -> bool:
        return txid < self._xmax and txid not in self._running


def as_json(row: Mapping[str, Any]) -> Any:
    return orjson.loads(orjson.dumps(row, option=orjson.OPT_UTC_Z))


def _difference(expected: Any, found: Any) -> str:
    if expected is None or found is None:
        return "missing" if found is None else "not in the events"
    names = [name for name in expected if expected[name] != found.get(name)]
    return ", ".join(f"{name} is {found.get(name)!r}, not {expected[name]!r}" for name in names)[
        :300
    ]
