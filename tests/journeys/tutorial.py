"""The steps of `docs/tutorial.md`: commands in terminals, files to write, and what is printed.

A block `sh` is a step. `<!-- terminal: NAME, until: TEXT -->` above it has it run in another
terminal, until it prints the text. A block `text` has lines of what the command before prints. A
block below `<!-- from: FILE -->` becomes a file of the newcomer's project.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/tutorial.md"
WRITTEN: Final = "examples/trips/tutorial/"
"""The folder with the files that the newcomer writes, as they stand in the project."""

_BLOCK: Final = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]+) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_TERMINAL: Final = re.compile(r"terminal: (\w+), until: (.+)")


@dataclass(frozen=True)
class Run:
    """`terminal` "": the first one, in which a step has ended before the next begins."""

    commands: str
    terminal: str = ""
    until: str = ""


@dataclass(frozen=True)
class Write:
    """`path` is below the project's folder."""

    path: str
    text: str


@dataclass(frozen=True)
class Shows:
    lines: tuple[str, ...]


Step = Run | Write | Shows


def steps(page: str) -> Iterator[Step]:
    """Raises ValueError for a block that is no step."""
    for block in _BLOCK.finditer(page):
        mark, kind, text = block["mark"] or "", block["kind"], block["text"]
        terminal = _TERMINAL.fullmatch(mark)
        if kind == "sh" and (terminal or not mark):
            yield Run(text, *(terminal.groups() if terminal else ()))
        elif kind == "python" and mark.startswith(f"from: {WRITTEN}"):
            yield Write(mark.removeprefix(f"from: {WRITTEN}"), text)
        elif kind == "text" and not mark:
            yield Shows(tuple(text.splitlines()))
        else:
            raise ValueError(f"a block {kind} below {mark!r} is no step:\n{text}")
