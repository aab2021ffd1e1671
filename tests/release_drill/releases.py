"""Two releases as they are deployed: the library from a wheel, the business beside it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from tests.commands import without_settings

ROOT: Final = Path(__file__).parents[2]
CHANGES: Final = Path(__file__).with_name("next_release.patch")
"""What the next release changes in the shop."""


class BadPatch(Exception):
    """The changes of the next release do not fit the code any more: write them anew."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, what it printed, and what it logged."""

    code: int
    printed: str
    logged: str


@dataclass(frozen=True)
class Release:
    """`name` is its build id at Temporal."""

    name: str
    business: Path
    python: Path

    @property
    def environment(self) -> Mapping[str, str]:
        # With -m Python looks into the current folder first, which has a release of its own.
        return {
            "PYTHONSAFEPATH": "1",
            "PYTHONPATH": str(self.business),
            "HANDRAIL_APP": "runtime.app:HANDRAIL",
        }

    def command(self, *arguments: str) -> Sequence[str]:
        # The App is imported from the current folder, where that has one.
        there = (shutil.which("env") or "/usr/bin/env", "-C", str(self.business))
        return [*there, str(self.python), "-m", "handrail.cli.main", *arguments]

    async def run(self, settings: Mapping[str, str], *arguments: str) -> Ended:
        """A command of its own."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments),
            env={**without_settings(), **settings, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        printed, logged = await process.communicate()
        return Ended(process.returncode or 0, printed.decode(), logged.decode())


def build(name: str, revision: str, folder: Path, changes: Path | None = None) -> Release:
    """The release of a revision, with `changes` applied: a wheel, an environment, the business."""
    source = folder / "source"
    source.mkdir(parents=True)
    _extract(revision, source)
    if changes:
        apply(changes, source)
    _quietly(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"),
        *("--disable-pip-version-check", "--wheel-dir", str(folder), str(source)),
    )
    environment = folder / "environment"
    _quietly(sys.executable, "-m", "venv", "--without-pip", str(environment))
    [packages] = environment.glob("lib/python*/site-packages")
    [wheel] = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(packages)
    # Its own library comes first, and all that it depends on from here.
    (packages / "shared.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    business = folder / "business"
    business.mkdir()
    for one in source.iterdir():
        if one.is_dir() and one.name not in {"handrail", "build", "tests", "docs"}:
            one.rename(business / one.name)
    return Release(name, business, environment / "bin" / "python")


def apply(changes: Path, source: Path) -> None:
    """Raises BadPatch."""
    # Within another repository it would be taken for a part of that.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(source.parent)}
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(changes.resolve())],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BadPatch(done.stderr)


def _extract(revision: str, folder: Path) -> None:
    archive = subprocess.run(
        ["git", "archive", "--format=tar", revision],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")


def _quietly(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
