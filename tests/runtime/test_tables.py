"""Tables of commands: readable in a narrow terminal, and no word or id of them is ever broken."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from handrail.cli import (
    blame,
    consumers,
    events,
    lake,
    main,
    notifications,
    projections,
    saga_tables,
    sagas,
)
from handrail.cli import relay as relay_commands
from handrail.cli import topology as topology_cli
from handrail.terminal_tables import Column, Table, Terminal, terminal
from runtime.app import HANDRAIL
from runtime.demo import command
from tests.runtime.shown_tables import CAUSE, IDS, SHOWN, Print, saga

SAGAS, CONSUMERS, READ_MODELS = (
    HANDRAIL.saga_types,
    HANDRAIL.consumers,
    HANDRAIL.read_model_names,
)
ROOT = Path(__file__).parents[2]
CODE = [
    path
    for top in ("handrail", "runtime")
    for path in sorted((ROOT / top).rglob("*.py"))
    if "testing" not in path.parts
]


def printed(show: Print, width: int) -> list[str]:
    out = io.StringIO()
    show(Terminal(file=out, width=width))
    return out.getvalue().splitlines()


def words(lines: list[str]) -> set[str]:
    return {word for line in lines for word in re.findall("[^ ─]+", line)}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("width", [80, 100, 132])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    lines = printed(SHOWN[name], width)
    assert lines
    assert [line for line in lines if cell_len(line) > width] == []


@pytest.mark.parametrize("name", SHOWN)
def test_no_word_or_id_is_broken(name: str) -> None:
    """Every word that is shown in 80 columns is one of those where there is room for all."""
    notes = words(["not shown here: --wide shows them."])
    whole = words(printed(SHOWN[name], 10_000)) | notes
    narrow = {re.sub(r"^(.*)[,:.]$", r"\1", word) for word in words(printed(SHOWN[name], 80))}
    assert narrow - {re.sub(r"^(.*)[,:.]$", r"\1", word) for word in whole} == set()


def tables_in_code() -> Iterator[str]:
    """The functions that make a table for a terminal."""
    for path in CODE:
        text = path.read_text()
        if "from handrail.terminal_tables import" not in text:
            continue
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for function in ast.walk(ast.parse(text)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id == "Table"
                for call in ast.walk(function)
            ):
                yield f"{module}.{function.name}"


def test_these_are_the_tables_of_all_commands() -> None:
    assert set(tables_in_code()) == set(SHOWN)


def test_no_command_lays_out_a_table_itself() -> None:
    assert [str(path) for path in CODE if "rich.table" in path.read_text()] == []


@pytest.mark.parametrize("id_", IDS)
def test_an_id_is_shown_as_a_whole(id_: str) -> None:
    lines = printed(SHOWN["handrail.cli.saga_tables.show_sagas"], 80)
    assert id_ in words(lines)


def a_table() -> Table:
    table = Table(
        (
            Column("id"),
            Column("state", rank=1),
            Column("size of it", rank=2, right=True),
            Column("cause", kind="text"),
        )
    )
    table.add("a-1", "parked", "1,000", "the bank does not answer at all")
    table.add("a-2", "running", "20", "")
    return table


def test_all_columns_stand_beside_each_other_where_there_is_room() -> None:
    assert printed(a_table().print, 60) == [
        "id   state    size of it  cause",
        "─────────────────────────────────────────────────────────",
        "a-1  parked        1,000  the bank does not answer at all",
        "a-2  running          20",
    ]


def test_a_text_is_broken_between_words() -> None:
    assert printed(a_table().print, 50)[2:4] == [
        "a-1  parked        1,000  the bank does not answer",
        "                          at all",
    ]


def test_the_column_of_the_highest_rank_is_the_first_to_be_dropped() -> None:
    assert printed(a_table().print, 42) == [
        "id   state    cause",
        "──────────────────────────────────────────",
        "a-1  parked   the bank does not answer at",
        "              all",
        "a-2  running",
        "not shown here: size of it. --wide shows",
        "them.",
    ]


def test_a_text_without_room_beside_the_others_stands_below_them() -> None:
    assert printed(a_table().print, 26) == [
        "id   state    size of it",
        "────────────────────────",
        "a-1  parked        1,000",
        "  cause: the bank does not",
        "    answer at all",
        "a-2  running          20",
    ]


def test_where_not_even_an_id_has_room_beside_others_rows_are_records() -> None:
    table = Table((Column("saga"), Column("step"), Column("cause", kind="text")))
    table.add("s" * 24, "AuthoriseDownPayment", "no answer of the bank, at all")
    assert printed(table.print, 30) == [
        "saga: " + "s" * 24,
        "step: AuthoriseDownPayment",
        "cause: no answer of the bank,",
        "  at all",
        "",
    ]


def test_an_id_that_is_longer_than_a_line_is_whole_all_the_same() -> None:
    table = Table((Column("saga"), Column("step")))
    table.add("s" * 90, "HoldCredit")
    assert "s" * 90 in words(printed(table.print, 80))


def test_a_row_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="1 cells for 4 columns"):
        a_table().add("a-3")


def test_a_sentence_is_broken_between_words_and_a_long_word_stays_whole() -> None:
    sentence = f"the saga {'s' * 30} waits for a person"
    assert printed(lambda to: to.print(sentence), 20) == [
        "the saga",
        "s" * 30,
        "waits for a person",
    ]


def test_what_is_piped_is_shown_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    saga_tables.show_sagas(terminal(), [saga(one) for one in IDS])
    out = capsys.readouterr().out.splitlines()
    assert out == printed(SHOWN["handrail.cli.saga_tables.show_sagas"], 10_000)


def test_wide_shows_everything_in_a_terminal_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    a_table().print(terminal(wide=True))
    saga_tables.show_sagas(terminal(wide=True), [saga(IDS[3])])
    out = capsys.readouterr().out
    assert CAUSE in out
    assert "not shown here" not in out


def test_in_a_terminal_of_80_columns_something_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    saga_tables.show_sagas(terminal(), [saga(IDS[0])])
    assert "--wide shows them." in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        command.demo,
        main.verify,
        blame.blame,
        sagas.list_sagas,
        sagas.show,
        sagas.figures,
        sagas.explain,
        sagas.SagaSelection,
        consumers.list_consumers,
        consumers.status,
        events.search,
        lake.query,
        notifications.parked,
        projections.status,
        relay_commands.forget,
        relay_commands.parked,
        topology_cli.status,
        topology_cli.messages,
    ],
)
def test_a_command_with_a_table_can_be_told_to_show_all_of_it(command: Callable[..., Any]) -> None:
    assert signature(command).parameters["wide"].default is False


@pytest.mark.parametrize(("wide", "note"), [(True, 0), (False, 1)])
def test_a_command_leaves_columns_out_unless_it_is_wide(
    *, wide: bool, note: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert sagas.explain("Checkout", wide=wide) == 0
    assert capsys.readouterr().out.count("not shown here") == note
