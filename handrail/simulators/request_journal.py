"""What a simulated company remembers: the requests that landed, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel, TypeAdapter

from handrail.simulators.fault_injection import Behaviour

Asked = TypeVar("Asked", bound=BaseModel)
Asked_contra = TypeVar("Asked_contra", bound=BaseModel, contravariant=True)


@dataclass(frozen=True)
class Answer:
    """HTTP status and JSON content of a company's answer."""

    status: int
    content: dict[str, str]


def approved(reference: str) -> Answer:
    """The company did it; `reference` is its own name for it."""
    return Answer(201, {"status": "approved", "reference": reference})


def declined(code: str) -> Answer:
    """The company did not do it; `code` is its reason."""
    return Answer(402, {"status": "declined", "code": code})


def reference_of(kind: str, content: str) -> str:
    """The same name for the same content, such as an idempotency key."""
    return f"{kind}-{sha256(content.encode()).hexdigest()[:12]}"


class Book(Protocol[Asked_contra]):
    """The company's business. It is rebuilt from its requests, so it may not ask clock or dice."""

    def arrives(self, asked: Asked_contra) -> Behaviour:
        """How the request wants to be treated, before it lands."""
        ...

    def lands(self, key: str, asked: Asked_contra) -> Answer: ...

    def ledger(self) -> dict[str, object]:
        """What others may compare with their own books."""
        ...


class RequestJournal(Generic[Asked]):
    """One line a request. Unbuffered, so that a killed process has lost nothing it answered."""

    def __init__(self, path: Path | None, lines: TypeAdapter[tuple[str, Asked]]) -> None:
        self._path = path
        self._lines = lines
        self._file: FileIO | None = None

    def open(self) -> list[tuple[str, Asked]]:
        """The requests that landed in earlier lives."""
        if self._path is None:
            return []
        self._file = FileIO(self._path, "a+")
        self._file.seek(0)
        whole, newline, torn = self._file.read().rpartition(b"\n")
        if torn:
            self._file.truncate(len(whole) + len(newline))
        return [self._lines.validate_json(line) for line in whole.splitlines()]

    def add(self, key: str, asked: Asked) -> None:
        if self._file is not None:
            self._file.write(self._lines.dump_json((key, asked)) + b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
