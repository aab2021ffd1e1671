"""No table keeps in clear what an operator gives as the reason of a command at the database."""

from __future__ import annotations

import asyncio
from typing import Any

import cyclopts
import orjson
import psycopg
import pytest

from handrail.cli.consumers import consumers
from handrail.cli.keys import keys
from handrail.cli.notifications import campaign, notifications
from handrail.cli.projections import projections
from handrail.cli.relay import relay
from handrail.personal import is_sealed
from tests.api.test_personal_texts import stored
from tests.runtime.test_cli_audit import Run, run

__all__ = ["run"]

REASON = "Ann Canary-Quill rang about it"
WHY = ("--reason", REASON, "--actor", "ann")
EARLIER = "of an earlier release"
UNKNOWN = "OrderConfirmed.v99"

THERE = """
INSERT INTO parked_streams (consumer, stream) VALUES ('finance', 'payment-p1');
INSERT INTO parked_messages (consumer, stream, version, position, type, schema, recorded_at,
    metadata, data, cause, attempts)
VALUES ('finance', 'payment-p1', 1, 1, 'PaymentCaptured', 1, now(), '{}', '{}', 'it failed', 1);
INSERT INTO notifications (lane, source, channel, kind, customer, language, body, state, due_at,
    settled_at, campaign)
VALUES ('transactional', 'a/1', 'email', 'any', 'c', 'en', 'any', 'failed', now(), now(), NULL),
    ('campaign', 'b/1', 'email', 'any', 'c', 'en', 'any', 'waiting', now(), NULL, 'spring');
INSERT INTO api_keys (id, name, kind, roles, scopes, secret_hash, expires_at, created_by)
VALUES ('k1', 'front', 'service', '{service}', '{}', sha256('h'), now() + interval '1 day', 'ann')
"""

ACTS = [
    (consumers, ["discard", "finance", "payment-p1"], "SELECT reason FROM parked_messages"),
    (
        projections,
        ["park-unknown", "order_status", UNKNOWN],
        "SELECT reason FROM newer_code_decisions",
    ),
    (relay, ["park-unknown", UNKNOWN], "SELECT DISTINCT reason FROM newer_code_decisions"),
    (
        notifications,
        ["discard", "a/1"],
        "SELECT actor_reason FROM notifications WHERE lane = 'transactional'",
    ),
    (
        campaign,
        ["stop", "spring"],
        "SELECT actor_reason FROM notifications WHERE lane = 'campaign'",
    ),
    (keys, ["revoke", "k1"], "SELECT revoked_because FROM api_keys"),
]
"""The command, and where its reason is stored."""


@pytest.fixture
def owner(database_with_read_models: str) -> Any:
    with psycopg.connect(database_with_read_models, autocommit=True) as connection:
        connection.execute(THERE)
        yield connection


@pytest.mark.parametrize(
    ("app", "words", "where"), ACTS, ids=[f"{app.name[0]} {words[0]}" for app, words, _ in ACTS]
)
def test_the_reason_of_a_command_is_stored_sealed(
    run: Run,
    owner: psycopg.Connection[Any],
    database_with_read_models: str,
    app: cyclopts.App,
    *,
    words: list[str],
    where: str,
) -> None:
    assert run(app, [*words, *WHY]) == 0
    found = owner.execute(where).fetchall()
    assert {is_sealed(reason) for (reason,) in found} == {True}, found
    assert REASON not in asyncio.run(stored(database_with_read_models))


def test_operators_read_reasons_in_clear_those_of_earlier_releases_too(
    run: Run, owner: psycopg.Connection[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(keys, ["revoke", "k1", *WHY]) == 0
    owner.execute(
        "INSERT INTO api_keys (id, name, kind, roles, scopes, secret_hash, expires_at, created_by,"
        " revoked_at, revoked_by, revoked_because) SELECT 'k0', 'old', kind, roles, scopes,"
        " secret_hash, expires_at, created_by, now(), 'ann', %s FROM api_keys",
        (EARLIER,),
    )
    capsys.readouterr()
    assert run(keys, ["list", "--all", "--json"]) == 0
    listed = orjson.loads(capsys.readouterr().out.splitlines()[-1])["keys"]
    assert {one["id"]: one["revoked_because"] for one in listed} == {"k1": REASON, "k0": EARLIER}


def test_a_decision_about_newer_code_is_shown_with_its_reason(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(projections, ["park-unknown", "order_status", UNKNOWN, *WHY]) == 0
    capsys.readouterr()
    run(projections, ["status"])
    assert f"{REASON} (ann" in " ".join(capsys.readouterr().out.split())
    monkeypatch.delenv("HANDRAIL_SUBJECT_KEYS_FILE")
    run(projections, ["status"])
    assert "[sealed] (ann" in " ".join(capsys.readouterr().out.split())
