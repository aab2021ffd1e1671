"""The failure harness knows no business: it imports no shop, and has no word of one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.shop_words import words_of_the_shop

TESTS: Final = Path(__file__).parents[1]
WORKFLOWS: Final = TESTS / "workflows"
HARNESS: Final = WORKFLOWS / "harness"

OF_THE_SHOP: Final = frozenset(
    {"after_checkout", "cases", "companies", "essence", "shop_case", "special"}
)
"""The files in the harness's folder that are the shop's cases."""

GENERAL: Final = (
    *sorted(path for path in HARNESS.glob("*.py") if path.stem not in OF_THE_SHOP),
    *(WORKFLOWS / f"{name}.py" for name in ("faults", "knocking", "losing", "running")),
    TESTS / "scenario.py",
)

MAY_IMPORT: Final = re.compile(r"tests\.workflows\.(faults|knocking|losing|running)")
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
    general = {f"tests.workflows.harness.{one.stem}" for one in GENERAL}
    found = [name for name in imports(ast.parse(text, str(path))) if name.split(".")[0] in OURS]
    return [name for name in found if name not in general and not MAY_IMPORT.fullmatch(name)]


@pytest.mark.parametrize("path", GENERAL, ids=lambda path: path.stem)
def test_the_harness_imports_no_business(path: Path) -> None:
    assert strange_imports(path, path.read_text()) == []


@pytest.mark.parametrize("path", GENERAL, ids=lambda path: path.stem)
def test_the_harness_has_no_word_of_the_shop(path: Path) -> None:
    assert words_of_the_shop(path.read_text()) == []


def test_what_is_the_shops_is_there() -> None:
    assert {path.stem for path in HARNESS.glob("*.py")} >= OF_THE_SHOP


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
