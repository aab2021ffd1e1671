"""Tables of commands: readable in a narrow terminal, and no word or id of them is ever broken."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from handrail.access.key_records import KeyRecord
from handrail.cli import (
    blame,
    consumers,
    contract_diff,
    contract_readers,
    deploy_commands,
    events,
    explain,
    figure_tables,
    keys,
    lake,
    lake_output,
    levels,
    main,
    notification_commands,
    notifications,
    projection_commands,
    projections,
    saga_tables,
    sagas,
    topology_commands,
)
from handrail.cli import relay as relay_commands
from handrail.cli import (
    relay_commands as relay_tables,
)
from handrail.cli import topology as topology_cli
from handrail.eventstore.subscriptions.lag import Lag
from handrail.eventstore.write_levels import Announced
from handrail.evolution.forms import Form
from handrail.lake.questions import Answer
from handrail.messaging.broker.federation_status import Fed
from handrail.messaging.consumers import progress
from handrail.messaging.contracts.diff import EventDiff, Verdict
from handrail.messaging.contracts.event_readers import EventReaders
from handrail.messaging.contracts.form_readers import FormReader
from handrail.messaging.contracts.schema_changes import SchemaChange
from handrail.messaging.relay.parked_messages import ParkedStream
from handrail.messaging.relay.republishing import ComesAgain
from handrail.notifications import operations
from handrail.processes import relay
from handrail.temporal.deployments import Deployment, State, Version
from handrail.terminal_tables import Column, Table, Terminal, terminal
from handrail.verify.proof import Findings, Proof, show
from runtime.app import HANDRAIL
from runtime.demo import command, run
from runtime.verify.prove import NAMES

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
NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
IDS = ("ord-1", f"collect-plan-{'0193a7c2-7d0f-7bb1-8a3e-1f2c3d4e5f60'}-12", "m" * 64, "s" * 76)
CAUSE = (
    "no definite answer [/bookings/ord-1: HTTP 503 upstream-connect-error-or-disconnect] after 12"
    " tries of AuthoriseDownPayment; 拒否されました"
)
MONEY = {"amount": 123_456_789_00, "currency": "EUR"}
MANY = 12_345_678


def event(id_: str) -> dict[str, Any]:
    return {
        "id": f"saga-{id_}/12",
        "type": "CompensationStarted",
        "position": MANY,
        "recorded_at": NOW.isoformat(),
        "metadata": {
            "actor": "service:shop-frontend for person:bert",
            "step": "AuthoriseDownPayment",
        },
    }


def blamed() -> dict[str, Any]:
    by = {
        "id": f"saga-{IDS[1]}/12",
        "type": "CompensationStarted",
        "recorded_at": NOW.isoformat(),
        "actor": "person:ann",
        "reason": CAUSE,
    }
    return {
        "fields": [
            {"field": "status", "value": "compensating", "set_by": by},
            {"field": "lines", "value": [MONEY, MONEY], "set_by": None},
        ]
    }


def saga(id_: str) -> dict[str, Any]:
    return {
        "saga": id_,
        "saga_type": "CollectInstalment",
        "status": "compensating",
        "because": "stock_unavailable",
        "step": "AuthoriseDownPayment",
        "attempt": 3,
        "started_at": NOW.isoformat(),
        "parked_since": NOW.isoformat(),
        "at_stake": MONEY,
        "cause": CAUSE,
        "seconds": 4000,
        "said": CAUSE,
        "waiting": [],
        "timeline": [
            {
                "at": NOW.isoformat(),
                "what": "InterventionFinished",
                "step": "AuthoriseDownPayment",
                "direction": "undo",
                "outcome": "compensated",
                "actor": "somebody-with-a-long-login-name@shop.example",
                "cause": CAUSE,
                "reason": "the bank has confirmed it by telephone",
                "evidence": "https://tickets.example/OPS-4711",
                "correction": "",
            }
        ],
    }


def figures(name: str) -> dict[str, Any]:
    took = {"count": MANY, "p50": 0.123, "p95": 86_400.0 * 12}
    counts = ("done", "refused", "failed", "unknown", "compensated", "parked", "parked_now")
    return {
        "saga_type": name,
        "started": MANY,
        "ended": {"completed": MANY, "refused": MANY, "compensated": MANY},
        "parked": MANY,
        "oldest_parked_seconds": 90_000.0,
        "steps": [{"step": "AuthoriseDownPayment", **dict.fromkeys(counts, MANY)}],
        "decision": took,
        "completion": took,
        "compensation": took,
        "turned_back": {"AuthoriseDownPayment": MANY, "ReserveStock": MANY, "HoldCredit": MANY},
        "interventions": {"compensate": MANY, "resolve": MANY},
    }


def standing(name: str) -> progress.Standing:
    return progress.Standing(name, 16, 1_000_000, 16, NOW, [], [], [])


def proof() -> Proof:
    wrong = Findings(12, [f"{id_}: {CAUSE}" for id_ in IDS], 3, [CAUSE])
    return Proof(dict.fromkeys(NAMES, wrong), events=MANY, sagas=MANY)


def an_answer() -> Answer:
    """With more columns than there is room for, as `SELECT * FROM events` has."""
    columns = ["position", "stream", "recorded_on", "percent", *(f"column_{n}" for n in range(9))]
    rows = [
        (
            MANY,
            id_,
            date(2026, 3, 1),
            Decimal("12.5"),
            *([CAUSE] * 4),
            *([None, True, MANY, "x", 1]),
        )
        for id_ in IDS
    ]
    return Answer(columns, rows)


Print = Callable[[Console], Any]


def key(name: str) -> KeyRecord:
    return KeyRecord(
        id="k7d4k2m9qabcd",
        name=name,
        roles=("operator", "approver"),
        tenant="merchant-4711",
        created_at=NOW,
        created_by="handrail",
        expires_at=NOW,
        replaces=None,
        last_used_at=NOW,
        revoked_at=None,
        revoked_by=None,
        revoked_because=None,
        secret_hash=bytes(32),
    )


def a_deployment() -> Deployment:
    def version(build_id: str, state: State, workers: int) -> Version:
        return Version(
            build_id=build_id,
            state=state,
            percent=12.5 if state == "ramping" else 0,
            running=MANY,
            parked=MANY,
            workers=workers,
            created_at=NOW,
        )

    return Deployment(
        name="handrail",
        versions=(
            version("2026.11.30-3f9c2ab7d1e0", "ramping", 12),
            version("1.4.0", "draining", 12),
            version("1.3.9", "draining", 0),
            version("1.3.8", "drained", 0),
        ),
        unversioned_running=MANY,
        unversioned_workers=3,
        changed_by="somebody with handrail deploy",
    )


def show_deployment(to: Console) -> None:
    deploy_commands.table_of(a_deployment()).print(to)
    for line in deploy_commands.remarks(a_deployment()):
        to.print(line, markup=False)


SHOWN: dict[str, Print] = {
    "handrail.cli.deploy_commands.table_of": show_deployment,
    "handrail.cli.keys.key_table": lambda to: keys.key_table([key(name) for name in IDS]).print(to),
    "handrail.cli.blame.table_of": lambda to: blame.table_of(blamed()).print(to),
    "handrail.cli.events.table_of": lambda to: events.table_of(
        [event(one) for one in IDS[:3]]
    ).print(to),
    "handrail.cli.saga_tables.show_sagas": lambda to: saga_tables.show_sagas(
        to, [saga(one) for one in IDS]
    ),
    "handrail.cli.saga_tables.show_saga": lambda to: saga_tables.show_saga(to, saga(IDS[1])),
    "handrail.cli.saga_tables.show_dry_run": lambda to: saga_tables.show_dry_run(
        to, {"sagas": [saga(one) for one in IDS], "at_stake": [MONEY], "count": MANY}
    ),
    "handrail.cli.saga_tables.show_items": lambda to: saga_tables.show_items(
        to, [{**saga(one), "status": "unreachable"} for one in IDS]
    ),
    "handrail.cli.figure_tables._table": lambda to: figure_tables.show_figures(
        to, [figures(name) for name in SAGAS]
    ),
    "handrail.cli.contract_diff.table_of": lambda to: contract_diff.table_of(
        [
            EventDiff(
                "ApplicationIncomplete",
                "settlement",
                "ApplicationIncomplete.v1",
                "ApplicationIncomplete.v2",
                verdict,
                [SchemaChange(CAUSE, backward=True, forward=False)],
                "lifted from ApplicationIncomplete.v1, and not lowered to it",
                EventReaders(
                    tuple(one.name for one in CONSUMERS), ("merchant_account",), ("instalments",)
                ),
            )
            for verdict in Verdict
        ]
    ).print(to),
    "handrail.cli.contract_readers.table_of_readers": lambda to: contract_readers.table_of_readers(
        [
            contract_readers.FormShown(
                Form("ApplicationIncomplete", version),
                f"settlement.ApplicationIncomplete.v{version}",
                version > 1,
                ["finance/finance.ledger", "commerce/another-team.everything"] if version else [],
                [FormReader(Form("ApplicationIncomplete", version), "old/queue", NOW, NOW)],
            )
            for version in (3, 2, 1, 0)
        ]
    ).print(to),
    "handrail.cli.explain.list_types": lambda to: explain.list_types(to, SAGAS),
    "handrail.cli.explain._table": lambda to: explain.explain_type(
        to, SAGAS["Checkout"], as_mermaid=False
    ),
    "handrail.cli.explain.explain_type": lambda to: [
        explain.explain_type(to, one, as_mermaid=False) for one in SAGAS.values()
    ],
    "handrail.cli.consumers.table_of": lambda to: consumers.table_of(
        CONSUMERS, {one.name: (MANY, MANY) for one in CONSUMERS}
    ).print(to),
    "handrail.messaging.consumers.progress.table_of": lambda to: progress.table_of(
        [standing(one.name) for one in CONSUMERS], CONSUMERS
    ).print(to),
    "handrail.cli.notification_commands.table_of": lambda to: notification_commands.table_of(
        [operations.Standing("transactional", MANY, float(MANY), MANY, MANY)]
    ).print(to),
    "handrail.cli.relay_commands.table_of": lambda to: relay_tables.table_of(
        [Lag("relay", MANY, float(MANY), 0, MANY, 16)]
    ).print(to),
    "handrail.cli.projection_commands.table_of": lambda to: projection_commands.table_of(
        [Lag(name, MANY, float(MANY), 0, MANY) for name in READ_MODELS]
    ).print(to),
    "handrail.processes.relay.table_of_parked": lambda to: relay.table_of_parked(
        [ParkedStream("unknown", f"merchant-{one}", MANY, CAUSE, NOW) for one in IDS[:3]]
    ).print(to),
    "handrail.processes.relay.table_of_repeated": lambda to: relay.table_of_repeated(
        [ComesAgain(one.name, MANY, 1) for one in CONSUMERS]
    ).print(to),
    "handrail.cli.topology_commands.table_of": lambda to: topology_commands.table_of(
        [Fed("notifications", "handrail.parcels", CAUSE, (), MANY, MANY, MANY)]
    ).print(to),
    "handrail.verify.proof.show": lambda to: show(proof(), to),
    "runtime.demo.run.table_of_endings": lambda to: run.table_of_endings([saga(IDS[1])]).print(to),
    "runtime.demo.run.table_of_timeline": lambda to: run.table_of_timeline(saga(IDS[1])).print(to),
    "handrail.cli.levels.table_of_levels": lambda to: levels.table_of_levels(some_levels()).print(
        to
    ),
    "handrail.cli.lake_output.table_of": lambda to: lake_output.table_of(an_answer(), None).print(
        to
    ),
}


def some_levels() -> list[levels.LevelShown]:
    worker = Announced("host-1:4711:8a2f33c1", "worker", {}, "2026.11", NOW)
    return [
        levels.LevelShown(Form("CreditHeld", 2), Form("CreditHeld", 1), None, "", [worker, worker]),
        levels.LevelShown(Form("LimitSet", 3), Form("LimitSet", 3), NOW, str(worker), []),
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
