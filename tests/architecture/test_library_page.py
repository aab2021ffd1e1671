"""docs/library.md: each name is there, and says what it is."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECTION = re.compile(r"^### `([\w.]+)`\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \| .+ \|$", re.MULTILINE)


def _named() -> Iterator[tuple[str, str]]:
    for module, rows in SECTION.findall((ROOT / "docs/library.md").read_text()):
        for name in ROW.findall(rows):
            yield module, name


def said_of(found: Any, name: str, module: ModuleType) -> str:
    """The docstring of a class or function itself, or the text under an assignment."""
    if inspect.isclass(found) or inspect.isfunction(found):
        written = vars(found).get("__doc__") if inspect.isclass(found) else found.__doc__
        if written and not written.startswith(f"{name}("):  # else a dataclass's signature
            return str(written)
    body = ast.parse(inspect.getsource(module)).body
    for one, after in pairwise(body):
        match one, after:
            case (
                (ast.Assign(targets=[ast.Name(id=id_)]) | ast.AnnAssign(target=ast.Name(id=id_))),
                ast.Expr(value=ast.Constant(value=str(text))),
            ) if id_ == name:
                return text
            case _:
                pass
    return ""


@pytest.mark.parametrize(("module", "name"), [*_named()])
def test_a_name_of_the_page_is_there_and_says_what_it_is(module: str, name: str) -> None:
    found = import_module(module)
    assert said_of(getattr(found, name), name, found), f"{module}.{name} has no docstring"


def test_the_page_names_each_once() -> None:
    named = list(_named())
    assert len(named) == len(set(named)) > 0


def test_what_the_trips_import_is_on_the_page() -> None:
    imported = {
        (node.module, name.name)
        for path in (ROOT / "examples/trips").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("handrail.")
        for name in node.names
    }
    assert imported - set(_named()) == set()
