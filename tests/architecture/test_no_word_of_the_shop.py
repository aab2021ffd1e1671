"""handrail/ has no word of the shop: in names, texts, comments, SQL or CSS.

What is stored or on the wire keeps its name: `CONTRACTS` has each of them, and fails for one that
is not needed any more.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.shop_words import words_of_the_shop

ROOT: Final = Path(__file__).parents[2]
LIBRARY: Final = ROOT / "handrail"
FILES: Final = tuple(
    sorted(path for kind in ("py", "sql", "css", "html") for path in LIBRARY.rglob(f"*.{kind}"))
)

CONTRACTS: Final[dict[str, dict[str, str]]] = {
    "What was stored before an App could say what it calls its tenant is read for ever.": {
        "tenant_word.py": "merchant"
    },
    "The columns `saga_places.merchant` and `webhooks.order_id`: while a migration renames one,"
    " processes of the old version fail.": {"eventstore/tables.py": "merchant order"},
    "The columns `customer`, `order_id` and `after_customer`, and the condition of an index:"
    " likewise, and the tables have millions of rows.": {
        "notifications/tables.py": "customer instalment order",
        "privacy/removal.py": "customer",
    },
    "SQLAlchemy's name of a pool event.": {"database_engine.py": "checkout"},
}
"""The contracts, and where the library has their words."""

STAYS: Final[dict[tuple[str, str], str]] = {
    (file, word): contract
    for contract, files in CONTRACTS.items()
    for file, words in files.items()
    for word in words.split()
}


def texts_of(path: Path, source: str) -> Iterator[str]:
    """Every name, text and comment of Python; all of SQL and of a style sheet."""
    if path.suffix != ".py":
        yield source
        return
    for node in ast.walk(ast.parse(source, str(path))):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.alias(name=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case ast.Constant(value=str(text)):
                yield text
            case ast.Constant(value=bytes(data)):
                yield data.decode(errors="replace")
            case _:
                pass
    lines = [
        (token.start[0], token.string.lstrip("# "))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    yield from _paragraphs(lines)


def _paragraphs(comments: list[tuple[int, str]]) -> Iterator[str]:
    """Comments that stand in consecutive lines are one text: its sentences go on behind a line."""
    text, before = "", 0
    for line, said in comments:
        if line != before + 1:
            yield text
            text = ""
        text, before = f"{text} {said}", line
    yield text


def found_in(path: Path, source: str) -> set[str]:
    """The words of the shop in a file, small and without a plural's s."""
    words = (word for text in texts_of(path, source) for word in words_of_the_shop(text))
    return {word.lower().removesuffix("s") for word in words}


def name_of(path: Path) -> str:
    return path.relative_to(LIBRARY).as_posix()


def _is_history(path: Path) -> bool:
    """A migration says what a database was: none is ever changed."""
    return "migrations/versions" in path.as_posix()


CURRENT: Final = tuple(path for path in FILES if not _is_history(path))


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_the_library_has_no_word_of_the_shop(path: Path) -> None:
    allowed = {word for file, word in STAYS if file == name_of(path)}
    assert found_in(path, path.read_text()) - allowed == set()


@pytest.mark.thorough
def test_every_word_that_stays_is_still_needed() -> None:
    found = {(name_of(path), word) for path in CURRENT for word in found_in(path, path.read_text())}
    assert STAYS.keys() - found == set()


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("a.py", "def refund(): ..."),
        ("a.py", "class OrderPlaced: ..."),
        ("a.py", "x = one.merchant_id"),
        ("a.py", "call(customer=1)"),
        ("a.py", "from domain import payouts"),
        ("a.py", "x = 'of the order'"),
        ("a.py", "x = f'{y} parcels'"),
        ("a.py", "x = b'SELECT sku'"),
        ("a.py", '"""For a bank."""'),
        ("a.py", "x = 1  # by the carrier"),
        ("a.sql", "SELECT stock -- what is left"),
        ("a.css", "--card: #fff"),
    ],
)
def test_a_word_of_the_shop_would_be_found(name: str, source: str) -> None:
    assert len(found_in(Path(name), source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "x = 'SELECT 1 FROM events ORDER BY position'",
        "query.order_by(table.c.position)",
        "raise OutOfOrder",
        '"""The events of a stream, in their\norder."""',
        "x = 1  # sorted in the\n# order of their ids",
    ],
)
def test_an_order_of_things_is_no_word_of_the_shop(source: str) -> None:
    assert found_in(Path("a.py"), source) == set()
