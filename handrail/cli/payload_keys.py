"""`handrail payload-keys`: the file of keys that payloads at Temporal are encrypted with."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from handrail.load_app import load_settings

# The modules behind the commands are imported inside them: a process loads only what it runs.
# ruff: noqa: PLC0415

payload_keys = App(name="payload-keys", help="The keys that encrypt payloads at Temporal.")
File = Annotated[Path | None, Parameter(help="The file. Without it: HANDRAIL_PAYLOAD_KEYS_FILE.")]
_A_MONTH = 31 * 24 * 3600


@payload_keys.command
def new(file: File = None) -> int:
    """Write a file with one key, for its owner alone. One that is there stays as it is."""
    from handrail.temporal.payload_keys import begin_ring

    path = _path(file)
    try:
        key = begin_ring(path)
    except FileExistsError:
        return _no(f"{path} is there already: `handrail payload-keys rotate` adds a key")
    except OSError as error:
        return _no(f"{path} cannot be written: {error.strerror}")
    print(f"{path} has the key {key.id}: keep a copy where the database's backups are not")
    return 0


@payload_keys.command
def rotate(
    file: File = None,
    *,
    after: Annotated[
        float,
        Parameter(
            help="Seconds until the new key encrypts: as long as the file takes to reach every"
            " process.",
            validator=Number(gte=0, lte=_A_MONTH),
        ),
    ] = 60,
    keep: Annotated[
        int,
        Parameter(
            help="How many of the older keys stay. 0: all. A history that is encrypted with a key"
            " that is gone can be read by nobody.",
            validator=Number(gte=0),
        ),
    ] = 0,
) -> int:
    """Add a key. Processes read the file again by themselves; older keys go on decrypting."""
    from handrail.temporal.payload_keys import BadKeyRing, rotate_ring

    path = _path(file)
    try:
        key = rotate_ring(path, timedelta(seconds=after), keep=keep)
    except BadKeyRing as bad:
        return _no(str(bad))
    except OSError as error:
        return _no(f"{path} cannot be written: {error.strerror}")
    print(f"{path}: {key.id} encrypts from {key.encrypts_from:%F %T} UTC")
    return 0


@payload_keys.command(name="list")
def list_keys(file: File = None) -> int:
    """Print the ids of the keys, oldest first, and from when each encrypts. Never a key."""
    from handrail.temporal.payload_keys import BadKeyRing, read_ring

    try:
        for key in read_ring(_path(file)):
            print(f"{key.id}  {key.encrypts_from:%F %T} UTC")
    except BadKeyRing as bad:
        return _no(str(bad))
    return 0


def _path(file: Path | None) -> Path:
    if file is not None:
        return file
    path = load_settings().payload_keys_file
    if path is None:
        print("name a file, or set HANDRAIL_PAYLOAD_KEYS_FILE", file=sys.stderr)
        raise SystemExit(2)
    return path


def _no(said: str) -> int:
    print(said, file=sys.stderr)
    return 1
