"""Every command that changes something is an act of an operator, stored before it is done."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import cyclopts
import psycopg
import pytest

from handrail.cli.consumers import consumers
from handrail.cli.database import database as database_commands
from handrail.cli.keys import keys
from handrail.cli.lake import lake
from handrail.cli.notifications import campaign, notifications
from handrail.cli.operator_act import NOT_KEPT_HERE
from handrail.cli.projections import projections
from handrail.cli.relay import relay
from handrail.cli.restore import restore
from handrail.cli.topology import topology
from handrail.personal import is_sealed
from handrail.refused_settings import BAD_SETTINGS

Run = Callable[..., int]
WHY = ("--reason", "a ticket", "--actor", "ann")

ACTS = [
    (projections, "projections rebuild", ["rebuild", "nothing"], "nothing"),
    (projections, "projections retry", ["retry", "stock_level", "stock-a"], "stock_level stock-a"),
    (relay, "relay forget", ["forget", "--yes"], ""),
    (consumers, "consumers retry", ["retry", "finance", "a-1", *WHY], "finance a-1"),
    (consumers, "consumers discard", ["discard", "finance", "a-1", *WHY], "finance a-1"),
    (consumers, "consumers backfill", ["backfill", "finance", "--yes"], "finance"),
    (
        consumers,
        "consumers rewind",
        ["rewind", "finance", "--to-position", "0", "--yes", *WHY],
        "finance 0",
    ),
    (lake, "lake forget", ["forget", "--yes"], ""),
    (keys, "keys create", ["create", "front", "--role", "service"], "front service"),
    (keys, "keys rotate", ["rotate", "front"], "front"),
    (keys, "keys revoke", ["revoke", "0", *WHY], "0"),
    (notifications, "notifications retry", ["retry", *WHY], "all"),
    (notifications, "notifications discard", ["discard", "a", *WHY], "a"),
    (campaign, "campaign stop", ["stop", "spring", *WHY], "spring"),
    (database_commands, "database roles", ["roles"], ""),
    (restore, "restore adopt", ["adopt", "--because", "a ticket", "--same-server", "--yes"], ""),
]
"""The command, its name in the audit, how it is typed, and its target."""


@pytest.fixture
def run(database_with_read_models: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", database_with_read_models)
    monkeypatch.setenv("HANDRAIL_PERSONAL_FIELDS", "sealed")

    def command(app: cyclopts.App, words: list[str]) -> int:
        return int(app(words, exit_on_error=False, result_action="return_value"))

    return command


def audited(url: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT type, data, metadata FROM events WHERE stream LIKE 'audit-%' ORDER BY position"
        ).fetchall()


@pytest.mark.parametrize(("app", "name", "words", "target"), ACTS, ids=[one[1] for one in ACTS])
def test_a_command_is_stored_with_its_principal_origin_and_outcome(
    run: Run,
    database_with_read_models: str,
    app: cyclopts.App,
    name: str,
    words: list[str],
    *,
    target: str,
) -> None:
    code = run(app, words)
    (asked, request, metadata), (said, outcome, _) = audited(database_with_read_models)
    assert (asked, said) == ("OperatorActRequested", "OperatorActAnswered")
    login = f"login:{getpass.getuser()}"
    assert (request["act"], request["target"]) == (f"handrail {name}", target)
    assert request["principal"] == outcome["principal"] == login
    assert request["origin"] == f"cli {getpass.getuser()}@{socket.gethostname()}"
    assert request["request"] == outcome["request"]
    assert outcome["status"] == code
    if "--actor" in words:
        assert request["acting_for"] == "ann"
        assert metadata["actor"] == f"{login} for ann"
    assert is_sealed(request["reason"]) == ("a ticket" in words)


@pytest.mark.parametrize(
    ("app", "words"),
    [(app, words) for app, _, words, _ in ACTS if "--reason" in words],
    ids=[name for _, name, words, _ in ACTS if "--reason" in words],
)
def test_an_act_whose_reason_would_be_stored_in_clear_is_refused_with_the_setting(
    run: Run,
    database_with_read_models: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    app: cyclopts.App,
    *,
    words: list[str],
) -> None:
    monkeypatch.delenv("HANDRAIL_SUBJECT_KEYS_FILE")
    assert run(app, words) == BAD_SETTINGS
    assert capsys.readouterr().err.startswith("HANDRAIL_SUBJECT_KEYS_FILE: is needed here")
    assert audited(database_with_read_models) == []


def test_a_store_is_adopted_without_keys_which_may_be_lost_with_it(
    run: Run, database_with_read_models: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDRAIL_SUBJECT_KEYS_FILE")
    assert run(restore, ["adopt", "--because", "a ticket", "--same-server", "--yes"]) == 0
    assert audited(database_with_read_models)[0][1]["reason"] == NOT_KEPT_HERE


def test_where_texts_are_stored_in_clear_a_reason_needs_no_keys(
    run: Run, database_with_read_models: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDRAIL_SUBJECT_KEYS_FILE")
    monkeypatch.setenv("HANDRAIL_PERSONAL_FIELDS", "clear")
    assert run(notifications, ["retry", *WHY]) == 0
    assert audited(database_with_read_models)[0][1]["reason"] == "a ticket"


def test_the_broker_s_topology_is_an_act_too(
    run: Run, database_with_read_models: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not the broker answers."""
    monkeypatch.setenv("HANDRAIL_BROKER_URL", "amqp://nobody:x@127.0.0.1:1/")
    monkeypatch.setenv("HANDRAIL_BROKER_MANAGEMENT_URL", "http://nobody:x@127.0.0.1:1/")
    monkeypatch.setenv("HANDRAIL_BROKER_PASSWORDS", "relay=x")
    with suppress(Exception, SystemExit):  # nothing answers at that address
        run(topology, ["apply"])
    assert audited(database_with_read_models)[0][1]["act"] == "handrail topology apply"


@pytest.mark.parametrize(
    ("words", "target"),
    [
        (["redrive", "finance", "dead", "--all", *WHY], "finance/dead all"),
        (["redrive", "finance", "unrouted", "m1", "m2", *WHY], "finance/unrouted m1 m2"),
        (["edit", "finance", "dead", "m1", "--body", "/dev/null", *WHY], "finance/dead m1"),
        (["discard", "finance", "dead", "m1", *WHY], "finance/dead m1"),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, list) else None,
)
def test_what_is_done_to_dead_messages_is_an_act_too(
    run: Run,
    database_with_read_models: str,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    target: str,
) -> None:
    """Whether or not the broker answers: it ends with 1, and a sentence."""
    monkeypatch.setenv("HANDRAIL_BROKER_URL", "amqp://nobody:x@127.0.0.1:1")
    monkeypatch.setenv("HANDRAIL_BROKER_MANAGEMENT_URL", "http://nobody:x@127.0.0.1:1/")
    assert run(topology, words) == 1
    asked, answered = audited(database_with_read_models)
    assert (asked[1]["act"], asked[1]["target"]) == (f"handrail topology {words[0]}", target)
    assert answered[1]["status"] == 1


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (relay, ["forget"]),
        (consumers, ["backfill", "finance"]),
        (consumers, ["list"]),
        (projections, ["status"]),
        (restore, ["adopt", "--because", "a", "--same-server"]),
        (keys, ["list"]),
    ],
    ids=lambda value: " ".join(value if isinstance(value, list) else value.name),
)
def test_what_only_looks_is_no_act(
    run: Run, database_with_read_models: str, app: cyclopts.App, words: list[str]
) -> None:
    run(app, words)
    assert audited(database_with_read_models) == []


def test_a_command_whose_act_cannot_be_stored_is_not_done(
    run: Run, database_with_read_models: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(database_with_read_models, autocommit=True) as connection:
        connection.execute("ALTER FUNCTION append_audit RENAME TO append_nothing")
    assert run(keys, ["create", "front", "--role", "service"]) == 1
    assert "could not be stored in the audit, so it is not done" in capsys.readouterr().err
    with psycopg.connect(database_with_read_models) as connection:
        assert connection.execute("SELECT count(*) FROM api_keys").fetchone() == (0,)


def test_a_login_may_append_no_other_event_by_that_function(
    database_with_read_models: str,
) -> None:
    with psycopg.connect(database_with_read_models, autocommit=True) as connection:
        for stream, kind in (("saga-1", "OperatorActRefused"), ("audit-2026-01-01", "SagaEnded")):
            with pytest.raises(psycopg.DatabaseError, match="no act of an operator"):
                connection.execute(
                    "SELECT append_audit(jsonb_build_object('name', %s::text),"
                    " jsonb_build_array(jsonb_build_object('type', %s::text)), '{}')",
                    (stream, kind),
                )
