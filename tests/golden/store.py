"""What a release wrote, in one file: a line of JSON for each thing.

The first line says which release it is, and the schema of its database. Then come rows of the event
store (`table`, `row`), rows of its read models (`model`, `row`), folded states (`state`, `is`), and
histories of workflows (`history`, `document`). Values of rows are as PostgreSQL writes them.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from tests.recorded import histories, rows

FOLDER: Final = Path(__file__).parents[1] / "fixtures" / "golden"
SUFFIX: Final = ".jsonl.xz"
DIGESTS: Final = FOLDER / "digests.txt"
STATES_OF_THE_SPLIT: Final = rows.FOLDER / "states.json.gz"

Values = Mapping[str, str | None]


@dataclass
class Golden:
    """Of one release. `states` are by stream, `histories` by their names."""

    name: str
    about: Mapping[str, Any] = field(default_factory=dict)
    tables: dict[str, list[Values]] = field(default_factory=dict)
    models: dict[str, list[Values]] = field(default_factory=dict)
    states: dict[str, Any] = field(default_factory=dict)
    histories: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def events(self) -> Sequence[Values]:
        """In the order of their positions."""
        return self.tables["events"]

    def lines(self) -> Iterator[Mapping[str, Any]]:
        yield self.about
        for table, found in self.tables.items():
            yield from ({"table": table, "row": row} for row in found)
        for model, found in self.models.items():
            yield from ({"model": model, "row": row} for row in found)
        yield from ({"state": stream, "is": state} for stream, state in self.states.items())
        for name, document in self.histories.items():
            yield {"history": name, "document": document}


def written(golden: Golden) -> bytes:
    """The same content makes the same bytes."""
    lines = [json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in golden.lines()]
    return lzma.compress("\n".join([*lines, ""]).encode(), preset=9 | lzma.PRESET_EXTREME)


def read(path: Path) -> Golden:
    """Raises ValueError for a line of a kind that there is not."""
    golden = Golden(path.name.removesuffix(SUFFIX))
    first, *others = lzma.decompress(path.read_bytes()).decode().splitlines()
    golden.about = json.loads(first)
    for line in others:
        match json.loads(line):
            case {"table": str(table), "row": dict(row)}:
                golden.tables.setdefault(table, []).append(row)
            case {"model": str(model), "row": dict(row)}:
                golden.models.setdefault(model, []).append(row)
            case {"state": str(stream), "is": state}:
                golden.states[stream] = state
            case {"history": str(name), "document": dict(document)}:
                golden.histories[name] = document
            case other:
                raise ValueError(f"{path.name}: {str(other)[:80]}")
    return golden


def of_the_split() -> Golden:
    """The first recording, of before the library was split from the business."""
    golden = Golden("split", json.loads((rows.FOLDER / "about.json").read_text()))
    for into, folder in ((golden.tables, rows.STORE), (golden.models, rows.READ_MODELS)):
        for path in sorted(folder.glob(f"*{rows.SUFFIX}")):
            into[path.name.removesuffix(rows.SUFFIX)] = values_in(rows.read(path))
    for path in histories.saved():
        name = path.name.removesuffix(histories.SUFFIX)
        golden.histories[name] = histories.document_in(path)
    if STATES_OF_THE_SPLIT.exists():
        golden.states = json.loads(rows.read(STATES_OF_THE_SPLIT))
    return golden


def saved() -> Sequence[Path]:
    """The oldest release first."""
    return sorted(FOLDER.glob(f"*{SUFFIX}"), key=lambda path: rank_of(path.name))


def rank_of(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", name))


def digest_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def digests() -> Mapping[str, str]:
    """By the name of a release."""
    lines = DIGESTS.read_text().splitlines() if DIGESTS.exists() else []
    return dict(line.split() for line in lines)


def values_in(content: str) -> list[Values]:
    """The rows of what `COPY … TO` writes."""
    return [{name: rows.value(text) for name, text in row.items()} for row in rows.rows_in(content)]


def copied(found: Sequence[Values]) -> str:
    """The rows as `COPY … FROM` reads them."""
    columns = list(found[0])
    lines = ["\t".join(_escaped(row[one]) for one in columns) for row in found]
    return "\n".join(["\t".join(columns), *lines, ""])


_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", "\t": r"\t", "\r": r"\r"})


def _escaped(value: str | None) -> str:
    return rows.NULL if value is None else value.translate(_ESCAPES)
