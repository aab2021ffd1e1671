"""A project that `handrail new` writes, and what is run in it with this interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import handrail
from tests.commands import without_settings

_HERE: Final = str(Path(handrail.__file__).parents[1])


@dataclass(frozen=True)
class Project:
    """`ran` says what a command in the folder printed, once it ended well."""

    folder: Path

    def tries(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env={**without_settings(), "PYTHONPATH": _HERE, "COLUMNS": "100"},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def ran(self, *words: str) -> str:
        ended = self.tries(*words)
        assert ended.returncode == 0, f"{words}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def handrail(self, *words: str) -> str:
        return self.ran("handrail.cli.main", *words)

    def refused(self, *words: str) -> str:
        """What a command of handrail said that ended with the code of what is refused."""
        ended = self.tries("handrail.cli.main", *words)
        assert (ended.returncode, ended.stdout) == (2, ""), ended.stdout + ended.stderr
        return ended.stderr.strip()

    def keeps_its_own_rules(self) -> None:
        self.ran("ruff", "format", "--no-cache", "--check")
        self.ran("ruff", "check", "--no-cache")
        self.ran("mypy", "--cache-dir", os.devnull, ".")
