"""What makes another digest of code, and what leaves it as it is: each a change of one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from handrail.eventstore.folds.code_digest import CodeDigest
from tests.folds.source import module_of

Digest = Callable[[str], str]

HELPERS = """
def outside(amount):
    return amount * 3
"""

SOURCE = '''
import functools
import operator
import re
from dataclasses import dataclass, field, replace
from enum import Enum

import helpers
from helpers import outside as another


class Kind(Enum):
    SMALL = 1
    LARGE = 2


class Base:
    FACTOR = 5

    def scaled(self):
        """In words."""
        return self.FACTOR * 7


@dataclass(frozen=True)
class State(Base):
    amount: int = 11
    names: tuple = field(default_factory=lambda: ("first",))

    def __add__(self, other):
        return replace(self, amount=self.amount + other + 13)

    @property
    def doubled(self):
        return self.amount * 17

    @classmethod
    def empty(cls):
        return cls(amount=19)

    def unused(self):
        return self.amount * 23


KINDS = frozenset({"red", "green", "blue"})
ARMS = {"up": lambda row: row + 29, "down": lambda row: row - 31}
PATTERN = re.compile("^a+$")
AMOUNT = operator.attrgetter("doubled")
LIMITS = [State(37)]


def _deep(row):
    return row + 41


@functools.cache
def kept(row):
    return _deep(row)


@functools.singledispatch
def of(value):
    return 43


@of.register
def _(value: int):
    return 47


def scale(by, extra=53):
    def inner(row):
        return row * by * extra

    return inner


SCALED = scale(59)
PART = functools.partial(outside := scale, 61)


def imports():
    import helpers as late

    return late.outside(67)


def unreached(row):
    return row + 71


def evolve(row, event=State()):
    """What it does."""
    # in words
    if event in {"left", "right"} and PATTERN.match(event):
        return State.empty().scaled() + AMOUNT(row)
    total = 73
    match row:
        case State(amount=79):
            return ARMS[event](kept(total))
        case _:
            pass
    rows = [one + 83 for one in KINDS if one != "grey"]
    return SCALED(PART(rows)) + helpers.outside(1) + another(of(Kind.SMALL)) + imports() + LIMITS
'''

CHANGED = {
    "a literal": ("total = 73", "total = 74"),
    "a literal in a comprehension": ("one + 83", "one + 84"),
    "a text in a comprehension": ('"grey"', '"gray"'),
    "a member of a set": ('"left", "right"', '"left", "rigth"'),
    "a member of a set that is a constant": ('"green"', '"grün"'),
    "a literal of a pattern": ("amount=79", "amount=80"),
    "a function behind a cache": ("row + 41", "row + 42"),
    "a value that a closure holds": ("scale(59)", "scale(60)"),
    "a default": ("extra=53", "extra=54"),
    "an argument of a partial": ("scale, 61", "scale, 62"),
    "a lambda in a dict": ("row - 31", "row - 32"),
    "two lambdas that change places": (
        '"up": lambda row: row + 29, "down": lambda row: row - 31',
        '"up": lambda row: row - 31, "down": lambda row: row + 29',
    ),
    "a regular expression": ("^a+$", "^b+$"),
    "a registered function": ("return 47", "return 48"),
    "a value of an enum": ("SMALL = 1", "SMALL = 3"),
    "a constant of a base class": ("FACTOR = 5", "FACTOR = 6"),
    "a method of a base class": ("* 7", "* 8"),
    "a default of a field": ("amount: int = 11", "amount: int = 12"),
    "a default of a field that is made": ('("first",)', '("last",)'),
    "an operator": ("+ other + 13", "+ other + 14"),
    "a property that is named by a text": ("* 17", "* 18"),
    "a class method": ("amount=19", "amount=20"),
    "an object in a list": ("State(37)", "State(38)"),
    "what is imported when it runs": ("late.outside(67)", "late.outside(68)"),
    "the order of fields": (
        '    amount: int = 11\n    names: tuple = field(default_factory=lambda: ("first",))',
        '    names: tuple = field(default_factory=lambda: ("first",))\n    amount: int = 11',
    ),
}
THE_SAME = {
    "a comment": ("# in words", "# in other words"),
    "an empty line": ("    total = 73\n", "\n\n    total = 73\n"),
    "another line number": ("import functools\n", "\n\n\nimport functools\n"),
    "a docstring": ("What it does.", "What it does, in short."),
    "a docstring of a method": ("In words.", "In other words."),
    "a function that is not reached": ("row + 71", "row + 72"),
    "a method that is not used": ("* 23", "* 24"),
}


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Digest:
    def of(source: str, helpers: str = HELPERS) -> str:
        module_of(helpers, tmp_path, monkeypatch, "helpers")
        made = CodeDigest()
        made.add(module_of(source, tmp_path, monkeypatch).evolve)
        return made.hexdigest()

    return of


@pytest.mark.parametrize("what", CHANGED)
def test_a_digest_changes_with(digest: Digest, what: str) -> None:
    before, after = CHANGED[what]
    assert SOURCE.count(before) == 1
    assert digest(SOURCE.replace(before, after)) != digest(SOURCE)


@pytest.mark.parametrize("what", THE_SAME)
def test_a_digest_does_not_change_with(digest: Digest, what: str) -> None:
    before, after = THE_SAME[what]
    assert SOURCE.count(before) == 1
    assert digest(SOURCE.replace(before, after)) == digest(SOURCE)


def test_a_digest_changes_with_a_function_of_another_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for helpers in (HELPERS, HELPERS.replace("* 3", "* 4")):
        module_of(helpers, tmp_path, monkeypatch, "helpers")
        made = CodeDigest()
        made.add(module_of(SOURCE, tmp_path, monkeypatch).evolve)
        found.add(made.hexdigest())
    assert len(found) == 2


DEEPER = """
def _inner(row):
    return row + 89


def outside(row):
    return _inner(row)
"""
CALLS = """
from NAME import outside


def evolve(row):
    return outside(row)
"""


@pytest.mark.parametrize("place", ["site-packages", "lib"])
def test_of_an_installed_package_only_what_is_called_directly_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    name = f"helpers_in_{place[:3]}"
    folder = tmp_path / place
    folder.mkdir()
    found = set()
    for helpers in (DEEPER, DEEPER.replace("89", "90")):
        module_of(helpers, folder, monkeypatch, name)
        made = CodeDigest()
        made.add(module_of(CALLS.replace("NAME", name), tmp_path, monkeypatch).evolve)
        found.add(made.hexdigest())
    assert (len(found) == 1) == (place == "site-packages")


def test_functions_that_call_each_other_end_the_walk(digest: Digest) -> None:
    source = dedent(
        """
        def even(n):
            return n == 0 or odd(n - 1)

        def odd(n):
            return n != 0 and even(n - 1)

        evolve = even
        """
    )
    assert digest(source) != digest(source.replace("n != 0", "n != 1"))


REVISIONS = """
from handrail.eventstore.folds.fold_revision import revision_of
from runtime.app import HANDRAIL
from runtime.verify.evidence import _AGGREGATES
for category, (initial, evolve) in sorted(_AGGREGATES.items()):
    print(category, revision_of(HANDRAIL.codec, initial, evolve))
"""


def test_every_process_has_the_same_revisions_whatever_the_hashes_of_its_strings_are() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", REVISIONS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    [lines] = said
    revisions = [line.split()[1] for line in lines.splitlines()]
    assert len(set(revisions)) == len(revisions) > 5
