"""Files for their owner alone: what a stack writes, and what its processes write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

UMASK: Final = 0o077
"""Nothing for the group, nothing for others."""


def private_folder(path: Path) -> Path:
    """The folder, and those above it that are missing, made for their owner alone."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
    return path


def close_to_others(folder: Path) -> None:
    """A folder that an earlier release made is closed, where it is ours."""
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700)
