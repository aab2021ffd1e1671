"""Blocks of code in the documents are cut from files that run.

`<!-- from: FILE -->` stands above such a block. A line `# …` in it leaves something out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
MARKED = re.compile(r"^<!-- from: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = re.compile(r"^\s*# …\n", re.MULTILINE)


class Block(NamedTuple):
    page: str
    file: str
    text: str


def _blocks() -> Iterator[Block]:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for file, text in MARKED.findall(page.read_text()):
            yield Block(str(page.relative_to(ROOT)), file, text)


def missing(block: str, file: str) -> str:
    """The first part of the block that the file does not have behind the part before it."""
    lines = file.splitlines()
    for part in LEFT_OUT.split(block):
        wanted = _level(part.splitlines())
        ends = range(len(wanted), len(lines) + 1)
        end = next((n for n in ends if _level(lines[n - len(wanted) : n]) == wanted), None)
        if end is None:
            return part
        lines = lines[end:]
    return ""


def _level(lines: list[str]) -> list[str]:
    """Without the indentation that all of them have."""
    return dedent("\n".join(lines)).strip("\n").split("\n")


@pytest.mark.parametrize("block", [*_blocks()], ids=lambda block: f"{block.page}-{block.file}")
def test_a_block_is_as_it_stands_in_its_file(block: Block) -> None:
    assert not missing(block.text, (ROOT / block.file).read_text())


def test_each_block_of_the_guide_to_a_business_is_cut_from_a_file() -> None:
    page = (ROOT / "docs/own-business.md").read_text()
    assert page.count("<!-- from: ") == len(re.findall(r"^```(?:python|toml)$", page, re.MULTILINE))


def test_the_readme_shows_a_saga_that_runs() -> None:
    shown = [block.file for block in _blocks() if block.page == "README.md"]
    assert shown == ["examples/trips/trips/book_trip.py"]


FILE = "def f():\n    a = 1\n    b = 2\n    return a\n"


@pytest.mark.parametrize(
    ("block", "lacks"),
    [
        ("a = 1\nb = 2\n", ""),
        ("def f():\n    # …\n    return a\n", ""),
        ("a = 1\nb = 3\n", "a = 1\nb = 3\n"),
        ("a = 1\nreturn a\n", "a = 1\nreturn a\n"),
        ("return a\n# …\na = 1\n", "a = 1\n"),
    ],
)
def test_a_block_that_differs_is_seen(block: str, lacks: str) -> None:
    assert missing(block, FILE) == lacks
