"""At most one stack per data folder, and where the one that runs can be reached."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import IO, Any, Final

from handrail.dev.private_files import close_to_others, private_folder
from handrail.settings import SettingsT

_NOT_JOINED: Final = frozenset({"api_url"})
_OF_ITS_DATABASE: Final = frozenset({"migration_database_url", "database_passwords"})
"""Of no use with another database than the stack's."""


class StackAlreadyRunning(Exception):
    """The folder belongs to a stack that runs. The message says which, and where it is."""

    def __init__(self, data_dir: Path, state: dict[str, Any]) -> None:
        known = [f"  {name}: {value}" for name, value in state.items() if not _is_secret(name)]
        super().__init__("\n".join([f"{data_dir} is in use by a stack that runs:", *known]))
        self.state = state


class StackLock:
    """An advisory lock, which the kernel releases when its holder dies, however it dies."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        close_to_others(private_folder(self._data_dir))
        descriptor = os.open(_path(self._data_dir), os.O_RDWR | os.O_CREAT, 0o600)
        file = os.fdopen(descriptor, "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                raise StackAlreadyRunning(self._data_dir, _read(file)) from None
        self._file = file
        self.describe({})

    def describe(self, addresses: dict[str, Any]) -> None:
        if self._file is None:
            raise RuntimeError("the lock is not held")
        self._file.seek(0)
        self._file.truncate()
        json.dump({"pid": os.getpid(), **addresses}, self._file)
        self._file.flush()

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def running_stack(data_dir: Path) -> dict[str, Any] | None:
    """What the stack that holds the folder says of itself, when there is one."""
    try:
        with _path(data_dir).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _read(file)
            return None
    except (FileNotFoundError, PermissionError):
        return None


def joined(settings: SettingsT) -> SettingsT:
    """The settings, with the addresses they lack taken from the stack that runs on their folder."""
    running = running_stack(settings.data_dir) or {}
    known = (running.keys() & type(settings).model_fields.keys()) - _NOT_JOINED
    if getattr(settings, "database_url", None) is not None:
        known -= _OF_ITS_DATABASE
    found = {name: running[name] for name in known if getattr(settings, name) in {None, ()}}
    return settings.model_copy(
        update={
            name: tuple(value) if isinstance(value, list) else value
            for name, value in found.items()
        }
    )


def _is_secret(name: str) -> bool:
    """Whether it has a password in it."""
    return "database" in name or "broker" in name


def _path(data_dir: Path) -> Path:
    return data_dir / "stack.lock"


def _read(file: IO[str]) -> dict[str, Any]:
    try:
        state = json.load(file)
    except ValueError:  # it is being written
        return {}
    return state if isinstance(state, dict) else {}
