"""The contracts as files, for people and for the next version of this code to be compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from handrail.kernel import Event, context_of
from handrail.messaging.consumers.consumer import Consumer
from handrail.messaging.contracts.asyncapi import document
from handrail.messaging.contracts.changes import ChangeFiles
from handrail.messaging.contracts.compatibility import breaks
from handrail.messaging.contracts.event_readers import READERS, EventReaders, document_of_readers
from handrail.messaging.contracts.schemas import Described, Schema, name_of, schema_of
from handrail.messaging.relay.routing import Routing

FOLDER: Final = Path("docs/contracts")
_OVERVIEW: Final = "asyncapi.json"


@dataclass(frozen=True)
class Difference:
    """`breaking`: writing the file anew would hide that a promise is broken."""

    file: str
    said: str
    breaking: bool

    def __str__(self) -> str:
        return f"{self.file}: {self.said}"


@dataclass(frozen=True)
class Contracts:
    """The events to be described, where they are published, where the files are, and who reads
    each event, by its name.
    """

    folder: Path
    events: Sequence[type[Event]]
    described: Described
    routing: Routing
    consumers: Sequence[Consumer]
    readers: Mapping[str, EventReaders] = field(default_factory=dict)

    def differences(self) -> list[Difference]:
        """What the files say otherwise than the code."""
        of_changes = [
            Difference(one.file, one.said, breaking=one.breaking)
            for one in self._changes.differences()
        ]
        return [
            *self._of_events(),
            *self._of_old_versions(),
            *of_changes,
            *self._of_the_rest(),
        ]

    def write(self) -> list[Difference]:
        """Bring the files to what the code says; answers what forbids it, and then writes nothing.

        Files of earlier versions stay as they are: events of theirs are stored.
        """
        if broken := [one for one in self.differences() if one.breaking]:
            return broken
        for event in self.events:
            _write(self._file(event), schema_of(event, self.described))
        self._changes.write()
        for name, content in self._rest().items():
            _write(self.folder / name, content)
        return []

    @property
    def _changes(self) -> ChangeFiles:
        return ChangeFiles(self.folder, self.events, self.described)

    def _rest(self) -> Mapping[str, Schema]:
        """Files about all events."""
        return {
            _OVERVIEW: document(self.events, self.described, self.routing, self.consumers),
            READERS: document_of_readers(self.events, self.described.codec, self.readers),
        }

    def _file(self, event: type[Event]) -> Path:
        name = name_of(event.__name__, self.described.codec.version(event.__name__))
        return self.folder / "events" / context_of(event) / f"{name}.json"

    def _of_events(self) -> Iterator[Difference]:
        for event in self.events:
            file, now = self._file(event), schema_of(event, self.described)
            name = file.relative_to(self.folder).as_posix()
            if not file.exists():
                yield Difference(name, "is missing", breaking=False)
                continue
            known = _read(file)
            if broken := breaks(known, now):
                version = self.described.codec.version(event.__name__)
                yield Difference(
                    name,
                    f"{'; '.join(broken)}. Events of it are stored: take that back, or make it"
                    f" version {version + 1}, with a change of version {version} in App.evolutions",
                    breaking=True,
                )
            elif known != now:
                yield Difference(name, "has changed", breaking=False)

    def _of_old_versions(self) -> Iterator[Difference]:
        """Whatever was ever written down can still be read."""
        current = {self._file(event) for event in self.events}
        for file in sorted(self.folder.glob("events/*/*.json")):
            if file in current:
                continue
            name = file.relative_to(self.folder).as_posix()
            type_, _, version = file.stem.partition(".v")
            for example in _read(file)["examples"]:
                try:
                    self.described.codec.decode_all(type_, int(version), example)
                except Exception as error:  # noqa: BLE001  # a change may raise anything
                    said = f"events of it are stored and cannot be read: {error!r}"
                    yield Difference(name, said, breaking=True)

    def _of_the_rest(self) -> Iterator[Difference]:
        for name, content in self._rest().items():
            file = self.folder / name
            if not file.exists() or _read(file) != content:
                yield Difference(name, "is not what the code says", breaking=False)


def _read(file: Path) -> Schema:
    read: Any = orjson.loads(file.read_bytes())
    return dict(read)


def _write(file: Path, content: Schema) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
