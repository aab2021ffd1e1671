"""The drawings are made of the saga that runs, and the README shows them as they are now."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflows.steps import EVERY, GROUPS, PIVOT, SAGA
from workflows.drawing import example, mermaid, table
from workflows.shape import Saga

README = Path(__file__).parents[2] / "README.md"


def test_every_step_is_drawn_once() -> None:
    nodes = re.findall(r"^    (\w+)[\[{(]", mermaid(SAGA), re.MULTILINE)
    assert [node for node in nodes if "_of_" not in node] == EVERY
    assert len(nodes) == len(set(nodes))


def test_the_way_back_is_the_way_forward_reversed() -> None:
    ways_back = re.findall(r"(.+) -\.-> (.+)", mermaid(SAGA))
    undone = [re.findall(r"_of_(\w+)", to) for _, to in ways_back]
    assert undone == GROUPS[::-1]
    assert ways_back[0][0].strip() == PIVOT


def test_the_table_has_a_row_for_every_step() -> None:
    assert re.findall(r"^\| ([A-Z]\w+) \|", table(SAGA), re.MULTILINE) == EVERY


def test_what_is_drawn_does_not_depend_on_the_order() -> None:
    assert (mermaid(example()), table(example())) == (mermaid(SAGA), table(SAGA))


@pytest.mark.parametrize(("name", "drawn"), [("mermaid", mermaid), ("table", table)])
def test_the_readme_shows_the_saga_as_it_is(name: str, drawn: Callable[[Saga], str]) -> None:
    shown = re.search(f"<!-- saga:{name} -->\n(.*?)<!-- /saga -->", README.read_text(), re.DOTALL)
    assert shown, f"README.md has no <!-- saga:{name} --> … <!-- /saga -->"
    assert shown[1].strip() == drawn(example()), (
        "the saga has changed: put what `python -m workflows.drawing` prints into README.md"
    )
