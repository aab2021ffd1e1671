from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from handrail.refused_settings import require
from handrail.settings import load
from handrail.settings_table import settings_table
from runtime.app import HANDRAIL
from runtime.options import options_of
from tests.runtime.conftest import ROOT
from workflows.dunning import Terms

SETTINGS: Any = HANDRAIL.settings_type
NEW_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS.model_fields:
        monkeypatch.delenv(f"HANDRAIL_{name.upper()}", raising=False)


def test_the_documented_table_is_the_real_one() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == settings_table(SETTINGS) + "\n"


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, field in SETTINGS.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HANDRAIL_DATABASE_URL", "mysql://elsewhere/db"),
        ("HANDRAIL_DATABASE_URL", "postgresql://host-without-database"),
        ("HANDRAIL_BROKER_URL", "http://relay:secret@broker:5672"),
        ("HANDRAIL_BROKER_URL", "amqp://relay:secret@broker:5672/commerce"),
        ("HANDRAIL_BROKER_URL", "amqp://broker:5672"),
        ("HANDRAIL_BROKER_PASSWORDS", "relay=secret,finance"),
        ("HANDRAIL_TEMPORAL_ADDRESS", "localhost"),
        ("HANDRAIL_BANK_URL", "bank:9001"),
        ("HANDRAIL_API_PORT", "many"),
        ("HANDRAIL_API_PORT", "70000"),
        ("HANDRAIL_LOG_LEVEL", "loud"),
        ("HANDRAIL_STEP_PLACEMENT", "elsewhere"),
        ("HANDRAIL_STEP_DEADLINE_SECONDS", "0"),
        ("HANDRAIL_WORKER_CONTEXTS", "sagas,gambling"),
        ("HANDRAIL_WORKER_CONTEXTS", ","),
        ("HANDRAIL_REVIEW_ABOVE", "-1"),
        ("HANDRAIL_DUNNING_DAYS", "3,soon"),
        ("HANDRAIL_CARRIER_WEBHOOK_SECRETS", "not-a-secret-of-ours"),
        ("HANDRAIL_BANK_WEBHOOK_SECRETS", f"{NEW_SECRET},whsec_dG9vIHNob3J0"),
        ("HANDRAIL_WEBHOOK_TARGET_URL", "api:8080"),
        ("HANDRAIL_BUILD_ID", "release 1"),
        ("HANDRAIL_BUILD_ID", "v" * 64),
        ("HANDRAIL_DEPLOYMENT_NAME", "shop.workers"),
        ("HANDRAIL_DEPLOYMENT_NAME", ""),
    ],
)
def test_a_bad_value_ends_the_process_with_a_line_that_names_it(
    variable: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SystemExit) as ended:
        load(SETTINGS)

    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{variable}: ")
    assert "SECRETS" not in variable or value not in line


def test_every_problem_has_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDRAIL_API_PORT", "x")
    monkeypatch.setenv("HANDRAIL_LOG_FORMAT", "x")

    with pytest.raises(SystemExit):
        load(SETTINGS)

    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_missing_address_is_named_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        require(SETTINGS(), "database_url", "data_dir")

    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("HANDRAIL_DATABASE_URL: ")


def test_a_misspelt_variable_is_pointed_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDRAIL_API_PROT", "1")

    load(SETTINGS)

    assert "did you mean HANDRAIL_API_PORT?" in capsys.readouterr().err


def test_an_empty_address_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", "")
    monkeypatch.setenv("HANDRAIL_METRICS_PORT", "")

    assert load(SETTINGS).database_url is None
    assert load(SETTINGS).metrics_port is None


def test_how_sagas_run_is_read_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_REVIEW_ABOVE", "150000")
    monkeypatch.setenv("HANDRAIL_REVIEW_SECONDS", "3600")
    monkeypatch.setenv("HANDRAIL_DUNNING_DAYS", "2,5")
    monkeypatch.setenv("HANDRAIL_LATE_FEE", "0")

    options = options_of(load(SETTINGS))

    assert (options.review_above, options.review_seconds) == (150_000, 3600)
    assert options.terms == Terms(again_after_days=(2, 5), late_fee=0)


def test_an_empty_list_is_empty_in_a_child_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_DUNNING_DAYS", "")
    settings = load(SETTINGS)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    assert load(SETTINGS) == settings


def test_an_empty_role_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_DATABASE_ROLE", "")

    assert load(SETTINGS).database_role == ""


def test_settings_do_not_change() -> None:
    settings = SETTINGS()

    with pytest.raises(ValidationError):
        settings.api_port = 1


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SETTINGS(
        database_url="postgresql://u:p@h/d",
        database_role="",
        worker_contexts=("sagas", "credit"),
        data_dir=Path("/elsewhere"),
        step_placement="queues",
        carrier_webhook_secrets=(NEW_SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    assert load(SETTINGS) == settings


def test_a_process_knows_the_password_of_its_own_user_at_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = SETTINGS(
        broker_url="amqps://admin:a@broker:5671",
        broker_management_url="http://admin:a@broker:15672",
        broker_passwords=("relay=r/1", "finance=f"),
    )
    monkeypatch.setenv("HANDRAIL_BROKER_PASSWORDS", "relay=r/1,finance=f")

    for name, value in settings.known_to("relay", user="relay").environment().items():
        monkeypatch.setenv(name, value)
    child = load(SETTINGS)
    assert child.broker_url == "amqps://relay:r%2F1@broker:5671"
    assert (child.broker_management_url, child.broker_passwords) == (None, ())

    for name, value in settings.known_to("worker").environment().items():
        monkeypatch.setenv(name, value)
    assert load(SETTINGS).broker_url is None


def test_a_process_knows_the_password_of_its_own_login_at_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = SETTINGS(
        database_url="postgresql://operator:o@db:5432/shop?sslmode=require",
        migration_database_url="postgresql://owner:secret@db:5432/shop",
        database_passwords=("worker=w/1", "consumer:finance=f"),
        database_role_prefix="shop",
    )
    monkeypatch.setenv("HANDRAIL_MIGRATION_DATABASE_URL", "postgresql://owner:secret@db:5432/shop")
    monkeypatch.setenv("HANDRAIL_DATABASE_PASSWORDS", "worker=w/1,consumer:finance=f")
    expected = {
        "worker": "postgresql://shop_worker:w%2F1@db:5432/shop?sslmode=require",
        "consumer:finance": "postgresql://shop_consumer_finance:f@db:5432/shop?sslmode=require",
        "api": "postgresql://operator:o@db:5432/shop?sslmode=require",
        None: None,
    }
    for role, url in expected.items():
        for name, value in settings.as_process(role).environment().items():
            monkeypatch.setenv(name, value)
        child = load(SETTINGS)
        assert child.database_url == url, role
        assert (child.migration_database_url, child.database_passwords) == (None, ()), role


@pytest.mark.parametrize("prefix", ["", "Shop", "shop-1", "a b"])
def test_a_prefix_of_roles_that_is_no_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prefix: str
) -> None:
    monkeypatch.setenv("HANDRAIL_DATABASE_ROLE_PREFIX", prefix)
    with pytest.raises(SystemExit):
        load(SETTINGS)
    assert "HANDRAIL_DATABASE_ROLE_PREFIX: " in capsys.readouterr().err


def test_webhook_secrets_are_a_list_and_none_when_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_CARRIER_WEBHOOK_SECRETS", f"{NEW_SECRET}, {NEW_SECRET}")
    monkeypatch.setenv("HANDRAIL_BANK_WEBHOOK_SECRETS", "")

    assert load(SETTINGS).carrier_webhook_secrets == (NEW_SECRET, NEW_SECRET)
    assert load(SETTINGS).bank_webhook_secrets == ()


def test_passwords_are_not_printed() -> None:
    url = "postgresql://user:secret@host/db"

    assert "secret" not in repr(SETTINGS(database_url=url, migration_database_url=url))
    assert "secret" not in repr(SETTINGS(database_passwords=("worker=secret",)))
    assert "whsec" not in repr(
        SETTINGS(carrier_webhook_secrets=(NEW_SECRET,), bank_webhook_secrets=(NEW_SECRET,))
    )


def test_a_worker_serves_everything_unless_told_otherwise() -> None:
    assert SETTINGS().worker_contexts == HANDRAIL.context_names
