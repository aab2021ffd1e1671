"""Secrets: which settings are secret, which processes know each, and their values from files.

A setting `X` that is marked with `secret_of` may be given as the file that `X_FILE` names. Then the
file is read again when it changes, by those who ask for the current value.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import structlog
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

LARGEST: Final = 64 * 1024
"""Bytes of a file with a secret."""
FILE: Final = "_FILE"
OURS: Final = (
    *("api", "worker", "projector", "notifier", "relay", "consumer", "lake", "codec", "topology"),
    *("dispatcher", "migrate"),
)
"""The processes of the library. A simulated company is none of them."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class KnownTo:
    """Marks a setting as a secret, in its type: `Annotated[str, secret_of("api", "worker")]`."""

    processes: frozenset[str]


def secret_of(*processes: str) -> KnownTo:
    """The processes of `OURS` that receive the secret; no other process gets it."""
    if unknown := sorted(set(processes) - set(OURS)):
        raise ValueError(f"{', '.join(unknown)}: not one of {', '.join(OURS)}")
    return KnownTo(frozenset(processes))


def secrets_of(settings: type[BaseModel]) -> Mapping[str, frozenset[str]]:
    """Each secret setting, with the processes that know it."""
    return {
        name: marks[-1].processes
        for name, info in settings.model_fields.items()
        if (marks := [one for one in info.metadata if isinstance(one, KnownTo)])
    }


class BadSecretFile(ValueError):
    """The sentence names the file, and never its content."""


def read_secret(path: Path) -> str:
    """The content without the line end that editors put behind it. Raises BadSecretFile."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise BadSecretFile(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise BadSecretFile(f"{path} is larger than {LARGEST} bytes")
    try:
        said = content.decode()
    except UnicodeDecodeError:
        raise BadSecretFile(f"{path} is not UTF-8") from None
    said = said.removesuffix("\n").removesuffix("\r")
    if not said:
        raise BadSecretFile(f"{path} is empty")
    return said


def given_as_files(
    secrets: Collection[str], prefix: str, environment: Mapping[str, str]
) -> tuple[dict[str, Path], dict[str, str]]:
    """The files that name secrets, by setting; and what is wrong with such variables."""
    files: dict[str, Path] = {}
    wrong: dict[str, str] = {}
    for name in secrets:
        if name.endswith("_file"):  # its content is one already
            continue
        variable = prefix + name.upper()
        if not (path := environment.get(variable + FILE)):
            continue
        if environment.get(variable):
            wrong[variable] = f"is set, and {variable}{FILE} too: set one of them"
        else:
            files[name] = Path(path)
    return files, wrong


@dataclass
class SecretFile:
    """The value of a setting that a file holds, as of the file's last change.

    A file that is spoilt later is an error in the log, and the value stays.
    """

    path: Path
    info: FieldInfo = field(repr=False)
    value: Any = field(repr=False)
    _seen: tuple[int, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self._seen = _look(self.path)

    def current(self) -> Any:
        seen = _look(self.path)
        if seen and seen != self._seen:
            try:
                self.value = self._valid(read_secret(self.path))
                _log.info("secret read again", file=str(self.path))
            except BadSecretFile as bad:
                _log.error("secret not read: the one from before stays", error=str(bad))
            except ValidationError:
                _log.error("secret not valid: the one from before stays", file=str(self.path))
            self._seen = seen
        return self.value

    def _valid(self, said: str) -> Any:
        form: Any = Annotated[(self.info.annotation, *self.info.metadata)]
        return TypeAdapter(form).validate_python(said)


def _look(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)  # noqa: PTH116  # it is asked for at every connection
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size
