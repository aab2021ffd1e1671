"""The failure harness knows no business: it imports no shop, and has no word of one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import handrail.testing
from tests.architecture.shop_words import words_of_the_shop

HARNESS: Final = Path(handrail.testing.__file__).parent
GENERAL: Final = tuple(sorted(HARNESS.glob("*.py")))

OURS: Final = frozenset(
    {"activities", "api", "consumers", "domain", "projections", "runtime", "tests", "workflows"}
)


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def strange_imports(path: Path, text: str) -> list[str]:
    found = imports(ast.parse(text, str(path)))
    return [name for name in found if name.split(".")[0] in OURS]


@pytest.mark.parametrize("path", GENERAL, ids=lambda path: path.stem)
def test_the_harness_imports_no_business(path: Path) -> None:
    assert strange_imports(path, path.read_text()) == []


@pytest.mark.parametrize("path", GENERAL, ids=lambda path: path.stem)
def test_the_harness_has_no_word_of_the_shop(path: Path) -> None:
    assert words_of_the_shop(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "from domain.payments.events import PaymentVoided",
        "from runtime.simulators.bank import create_bank",
        "import workflows.checkout",
        "from runtime.app import HANDRAIL",
        "from tests.world import World",
        "from tests.workflows.harness.companies import stand",
    ],
)
def test_an_import_of_the_shop_would_be_found(line: str) -> None:
    assert strange_imports(HARNESS / "trial.py", line) == [line.split()[1]]


@pytest.mark.parametrize(
    "line", ['"""For the order."""', "merchant_id = 1", "class CheckoutEnded: ...", "x = 'card_ok'"]
)
def test_a_word_of_the_shop_would_be_found(line: str) -> None:
    assert len(words_of_the_shop(line)) == 1
