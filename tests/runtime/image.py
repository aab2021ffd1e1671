"""What the Dockerfile copies and installs, read from it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.runtime.conftest import ROOT

WHEEL, IMAGE = re.split(r"\n(?=FROM )", (ROOT / "Dockerfile").read_text())
"""Its stages: the one builds the library's wheel, the other is what runs."""


def copied(stage: str) -> Iterator[str]:
    """The files and folders of the repository that a stage copies."""
    for line in re.findall(r"^COPY (?!--)(.+) \S+$", stage, re.MULTILINE):
        yield from line.split()


def copy(stage: str, folder: Path) -> None:
    """Copy into `folder` what a stage copies into its working directory."""
    folder.mkdir()
    for name in copied(stage):
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)


def locked(file: str) -> set[str]:
    """The distributions that a lock names."""
    return set(re.findall(r"^([\w.-]+)==", (ROOT / file).read_text(), re.MULTILINE))


def what_builds() -> str:
    """The part of the lock for developing that the Dockerfile installs to build the wheel."""
    [program] = re.findall(r"awk '(.+)' requirements.lock", WHEEL)
    return subprocess.check_output(["awk", program, "requirements.lock"], cwd=ROOT, text=True)
