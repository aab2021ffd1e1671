"""The public names of handrail.testing: each is there, and says what it is."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import handrail.testing


@pytest.mark.parametrize("name", handrail.testing.PUBLIC)
def test_a_public_name_says_what_it_is(name: str) -> None:
    found = getattr(handrail.testing, name)
    assert found.__name__ == name
    said = inspect.getdoc(found)
    assert said
    assert not said.startswith(f"{name}("), "a dataclass without a docstring"


def test_type_checkers_see_the_names_that_there_are() -> None:
    tree = ast.parse(Path(handrail.testing.__file__).read_text())
    [types] = [one for one in tree.body if isinstance(one, ast.If)]
    seen = {
        name.name for one in types.body if isinstance(one, ast.ImportFrom) for name in one.names
    }
    assert seen == set(handrail.testing.PUBLIC)


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match=r"has no name Sgaa: it has Aggregate, Business, "):
        _ = handrail.testing.Sgaa
