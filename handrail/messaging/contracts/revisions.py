"""The contracts of a revision: from a folder, or from a commit of the repository around it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import orjson

from handrail.messaging.contracts.event_readers import KINDS, READERS, EventReaders
from handrail.messaging.contracts.schemas import Schema

OVERVIEW: Final = "asyncapi.json"
_MOST_FILES: Final = 20_000
_MOST_BYTES: Final = 256 * 1024 * 1024
_SECONDS: Final = 60


class NoContracts(ValueError):
    """Neither a folder with contracts nor a commit that has one: name another, or write them there
    with `handrail contracts --write`.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail}. {' '.join((type(self).__doc__ or '').split())}")


@dataclass(frozen=True)
class Older:
    """A form in which an event was written before. Without `lowers` the event as it is now cannot
    be brought to it; `loses` are the fields that are lost on the way.
    """

    lowers: bool
    loses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """An event of a revision. `form` is what is written now, as in `CreditHeld.v2`.

    `older` is None where the revision does not say how it reads older forms.
    """

    name: str
    context: str
    form: str
    older: Mapping[str, Older] | None
    readers: EventReaders


@dataclass(frozen=True)
class Revision:
    """`schemas` has all forms there are files of; `contracts` the events that are written now.

    `knows_readers`: false for one that says nothing of read models and lake views.
    """

    name: str
    schemas: Mapping[str, Schema]
    contracts: Mapping[str, Contract]
    knows_readers: bool


def revision(name: str, folder: Path) -> Revision:
    """A folder of this name where there is one, otherwise the commit's `folder`.

    Raises NoContracts.
    """
    there = Path(name)
    files = _in_folder(there) if there.is_dir() else _in_commit(name, folder)
    schemas = {
        PurePosixPath(path).stem: _parsed(name, path, content)
        for path, content in files.items()
        if PurePosixPath(path).match("events/*/*.json")
    }
    if not schemas:
        raise NoContracts(f"{name}: there are no files events/CONTEXT/EVENT.vN.json")
    contexts = {PurePosixPath(path).stem: PurePosixPath(path).parent.name for path in files}
    if READERS in files:
        said = _parsed(name, READERS, files[READERS])
        try:
            found = {one: _contract(one, entry) for one, entry in said["events"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise NoContracts(f"{name}: {READERS} is not what was written: {error!r}") from None
        return Revision(name, schemas, found, knows_readers=True)
    overview = _parsed(name, OVERVIEW, files[OVERVIEW]) if OVERVIEW in files else {}
    return Revision(name, schemas, _without_readers(schemas, contexts, overview), False)


def _contract(name: str, said: Mapping[str, Any]) -> Contract:
    return Contract(
        name,
        str(said["context"]),
        str(said["form"]),
        {
            form: Older(bool(of["lowers"]), tuple(map(str, of.get("loses", ()))))
            for form, of in said["older"].items()
        },
        EventReaders(*(tuple(map(str, said[kind])) for kind in KINDS)),
    )


def _without_readers(
    schemas: Mapping[str, Schema], contexts: Mapping[str, str], overview: Schema
) -> Mapping[str, Contract]:
    """From before the readers had a file: the AsyncAPI document says which events there are, and
    what consumers of the broker want.
    """
    newest: dict[str, int] = {}
    for form in schemas:
        event, _, version = form.rpartition(".v")
        newest[event] = max(newest.get(event, 0), int(version) if version.isdecimal() else 0)
    current = overview.get("components", {}).get("messages") or newest
    wants = {
        key.removeprefix("consume."): _wanted(operation, overview)
        for key, operation in overview.get("operations", {}).items()
        if key.startswith("consume.")
    }
    return {
        event: Contract(
            event,
            contexts[form],
            form,
            None,
            EventReaders(tuple(sorted(name for name, wanted in wants.items() if event in wanted))),
        )
        for event, version in newest.items()
        if event in current and (form := f"{event}.v{version}") in schemas
    }


def _wanted(operation: Schema, overview: Schema) -> set[str]:
    channel = str(operation["channel"]["$ref"]).rpartition("/")[2]
    return set(overview["channels"][channel]["messages"])


def _parsed(name: str, path: str, content: bytes) -> Schema:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise NoContracts(f"{name}: {path} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise NoContracts(f"{name}: {path} is no JSON object")
    return found


def _in_folder(folder: Path) -> Mapping[str, bytes]:
    files = [*folder.glob("*.json"), *folder.glob("events/*/*.json")]
    _bound(str(folder), len(files), sum(file.stat().st_size for file in files))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def _in_commit(name: str, folder: Path) -> Mapping[str, bytes]:
    commit = _git(name, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    prefix = f"{folder.as_posix().rstrip('/')}/"
    listed = _git(name, "ls-tree", "-r", "-l", "-z", commit.decode().strip(), "--", prefix)
    blobs: dict[str, str] = {}
    size = 0
    for entry in listed.decode().split("\0"):
        about, _, path = entry.partition("\t")
        path = path.removeprefix(prefix)
        if not path.endswith(".json"):
            continue
        _, kind, id_, length = about.split()
        if kind == "blob":
            blobs[path] = id_
            size += int(length)
    if not blobs:
        raise NoContracts(f"{name} has nothing in {folder}")
    _bound(name, len(blobs), size)
    asked = "".join(f"{id_}\n" for id_ in blobs.values()).encode()
    answer = _git(name, "cat-file", "--batch", given=asked)
    files = {}
    for path in blobs:
        head, _, answer = answer.partition(b"\n")
        length_of_it = int(head.split()[2])
        files[path], answer = answer[:length_of_it], answer[length_of_it + 1 :]
    return files


def _git(name: str, *arguments: str, given: bytes = b"") -> bytes:
    """Raises NoContracts where git says no."""
    try:
        done = subprocess.run(  # noqa: S603  # arguments, no shell
            ["git", *arguments],  # noqa: S607  # the one in the path is the user's
            input=given,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoContracts(f"{name} is no folder, and git cannot be asked: {error}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise NoContracts(f"{name} is no folder, and git says: {said[-1] if said else '?'}")
    return done.stdout


def _bound(name: str, files: int, size: int) -> None:
    if files > _MOST_FILES or size > _MOST_BYTES:
        raise NoContracts(
            f"{name} has {files} files of {size} bytes, and {_MOST_FILES} files of {_MOST_BYTES}"
            " bytes are read at most"
        )
