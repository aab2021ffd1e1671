"""Commands of the library in processes of their own, as a shell runs them, to their end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Ended(NamedTuple):
    """`code` is the exit code; below 0 it is the signal that ended the process."""

    code: int
    out: str
    error: str


async def handrail(
    *arguments: str, environment: Mapping[str, str], folder: Path | None = None
) -> Ended:
    """Runs `handrail` with the arguments, and with no other environment than this."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "handrail.cli.main", *arguments),
        env=dict(environment),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), error.decode())


def without_settings() -> dict[str, str]:
    """The environment of the tests, without the variables of Handrail."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HANDRAIL_")}
