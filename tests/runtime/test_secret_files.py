"""Secrets from files, and who receives each: `HANDRAIL_X_FILE` in place of `HANDRAIL_X`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme

from handrail.secret_files import LARGEST, OURS, secrets_of
from handrail.settings import load
from runtime.app import HANDRAIL

SETTINGS: Any = HANDRAIL.settings_type
URL = "postgresql://app:s3cret@db:5432/shop"
OTHER = "postgresql://app:0ther@db:5432/shop"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEWER = "whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AS_FILES = sorted(name for name in secrets_of(SETTINGS) if not name.endswith("_file"))


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS.model_fields:
        for ending in ("", "_FILE"):
            monkeypatch.delenv(f"HANDRAIL_{name.upper()}{ending}", raising=False)


def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setenv(f"HANDRAIL_{name.upper()}_FILE", str(path))
    return path


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_a_file_without_its_line_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    given(tmp_path, monkeypatch, "database_url", URL + ending)
    assert load(SETTINGS).database_url == URL


@pytest.mark.parametrize("name", AS_FILES)
def test_every_secret_may_be_a_file_and_a_wrong_one_names_the_variable(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.setenv(f"HANDRAIL_{name.upper()}_FILE", str(tmp_path / "missing"))
    with pytest.raises(SystemExit) as ended:
        load(SETTINGS)
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"HANDRAIL_{name.upper()}_FILE: ")


WRONG = {"empty": b"\n", "too large": b"x" * (LARGEST + 1), "no text": b"\xff\xfe", "no URL": b"x"}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG.keys())
def test_a_file_that_holds_no_such_secret_ends_the_process(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
) -> None:
    given(tmp_path, monkeypatch, "database_url", content)
    with pytest.raises(SystemExit):
        load(SETTINGS)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("HANDRAIL_DATABASE_URL_FILE: ")


def test_a_wrong_secret_is_not_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(tmp_path, monkeypatch, "bank_webhook_secrets", "whsec_dG9vIHNob3J0")
    with pytest.raises(SystemExit):
        load(SETTINGS)
    assert "dG9vIHNob3J0" not in capsys.readouterr().err


def test_a_secret_twice_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(tmp_path, monkeypatch, "database_url", URL)
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", OTHER)
    with pytest.raises(SystemExit):
        load(SETTINGS)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("HANDRAIL_DATABASE_URL: is set, and HANDRAIL_DATABASE_URL_FILE too")


def test_a_secret_is_read_again_when_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = given(tmp_path, monkeypatch, "database_url", URL)
    secrets = given(tmp_path, monkeypatch, "carrier_webhook_secrets", SECRET)
    settings = load(SETTINGS)

    url.write_text(OTHER + "\n")
    secrets.write_text(f"{NEWER},{SECRET}\n")
    assert settings.current("database_url") == OTHER
    assert settings.current("carrier_webhook_secrets") == (NEWER, SECRET)


@pytest.mark.parametrize("content", ["", "no url", None])
def test_a_file_that_is_spoilt_later_leaves_the_secret_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    path = given(tmp_path, monkeypatch, "database_url", URL)
    settings = load(SETTINGS)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert settings.current("database_url") == URL


def test_a_child_gets_the_file_and_not_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = given(tmp_path, monkeypatch, "database_url", URL)
    said = load(SETTINGS).known_to("worker").environment()
    assert said["HANDRAIL_DATABASE_URL_FILE"] == str(path)
    assert "s3cret" not in " ".join(said.values())


def test_a_setting_that_is_no_secret_has_no_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDRAIL_API_PORT_FILE", "/anywhere")
    load(SETTINGS)
    assert "HANDRAIL_API_PORT_FILE: there is no such setting" in capsys.readouterr().err


def test_a_field_that_is_not_shown_is_a_secret_with_its_processes() -> None:
    hidden = {name for name, info in SETTINGS.model_fields.items() if not info.repr}
    assert hidden <= set(secrets_of(SETTINGS))


ALL = {
    "database_url": URL,
    "migration_database_url": OTHER,
    "broker_url": "amqps://handrail:br0ker@broker:5671",
    "broker_management_url": "https://handrail:br0ker@broker:15671",
    "broker_passwords": ("relay=r3lay", "finance=f1nance"),
    "temporal_api_key": "t3mporal",
    "bank_webhook_secrets": (SECRET,),
    "carrier_webhook_secrets": (NEWER,),
}


@pytest.mark.parametrize("process", [*OURS, "bank"])
def test_a_process_receives_its_own_secrets_and_no_other(process: str) -> None:
    settings = SETTINGS(**ALL).known_to(process)
    for name, processes in secrets_of(SETTINGS).items():
        if name in ALL and process not in processes:
            assert getattr(settings, name) in {None, ()}, name
    said = settings.environment()
    for name, processes in secrets_of(SETTINGS).items():
        if process not in processes:
            assert said[f"HANDRAIL_{name.upper()}"] == ""


def test_a_simulated_company_receives_only_what_it_signs_with() -> None:
    settings = SETTINGS(**ALL).known_to("bank", more=("bank_webhook_secrets",))
    said = " ".join(settings.environment().values())
    assert SECRET in said
    for other in ("s3cret", "0ther", "br0ker", "r3lay", "t3mporal", NEWER):
        assert other not in said


@pytest.mark.parametrize("process", [*OURS, "bank"])
def test_a_process_without_the_key_of_a_certificate_has_no_certificate_either(
    pems: dict[str, Path], monkeypatch: pytest.MonkeyPatch, process: str
) -> None:
    pair = {"cert_file": pems["cert"], "key_file": pems["key"]}
    places = ("temporal_tls", "database", "broker", "api_tls", "bank", "provider")
    settings = SETTINGS(**{f"{at}_{end}": path for at in places for end, path in pair.items()})
    for name, value in settings.known_to(process).environment().items():
        monkeypatch.setenv(name, value)
    assert load(SETTINGS)


def test_a_consumer_is_its_own_user_at_the_broker() -> None:
    settings = SETTINGS(**ALL).known_to("consumer", user="finance")
    assert settings.broker_url == "amqps://finance:f1nance@broker:5671"
    assert settings.broker_passwords == ()


PEM_FILES = sorted(
    name
    for name in SETTINGS.model_fields
    if name.endswith(("_ca_file", "_cert_file", "_key_file")) or name == "payload_keys_file"
)


@pytest.mark.parametrize("name", PEM_FILES)
@pytest.mark.parametrize("content", [None, "", "not PEM"])
def test_a_wrong_certificate_file_ends_the_process_with_its_variable(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: str | None,
) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)
    if name == "payload_keys_file" and content:
        return  # any text is read; the key ring says what is wrong with it
    monkeypatch.setenv(f"HANDRAIL_{name.upper()}", str(path))
    with pytest.raises(SystemExit) as ended:
        load(SETTINGS)
    assert ended.value.code == 2
    assert f"HANDRAIL_{name.upper()}: " in capsys.readouterr().err


@pytest.fixture
def pems(tmp_path: Path) -> dict[str, Path]:
    authority = trustme.CA()
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key", "other")}
    mine, other = authority.issue_cert("one"), authority.issue_cert("two")
    authority.cert_pem.write_to_path(files["ca"])
    mine.cert_chain_pems[0].write_to_path(files["cert"])
    mine.private_key_pem.write_to_path(files["key"])
    other.private_key_pem.write_to_path(files["other"])
    return files


@pytest.mark.parametrize("name", ["temporal_tls", "database", "broker", "api_tls"])
@pytest.mark.parametrize("key", [None, "other"])
def test_a_certificate_goes_with_its_own_key(
    pems: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    key: str | None,
) -> None:
    monkeypatch.setenv(f"HANDRAIL_{name.upper()}_CERT_FILE", str(pems["cert"]))
    if key:
        monkeypatch.setenv(f"HANDRAIL_{name.upper()}_KEY_FILE", str(pems[key]))
    with pytest.raises(SystemExit):
        load(SETTINGS)
    assert f"HANDRAIL_{name.upper()}_KEY_FILE: " in capsys.readouterr().err


def test_certificates_are_put_into_the_url_of_the_database(
    pems: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(tmp_path, monkeypatch, "database_url", f"{URL}?connect_timeout=3")
    for name in ("ca", "cert", "key"):
        monkeypatch.setenv(f"HANDRAIL_DATABASE_{name.upper()}_FILE", str(pems[name]))
    settings = load(SETTINGS)
    for url in (settings.database_url, settings.current("database_url")):
        assert url.startswith(f"{URL}?sslmode=verify-full&sslrootcert=")
        assert url.endswith("&connect_timeout=3")


def test_what_the_url_of_the_database_says_itself_stays(
    pems: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", f"{URL}?sslmode=verify-ca")
    monkeypatch.setenv("HANDRAIL_DATABASE_CA_FILE", str(pems["ca"]))
    assert "sslmode=verify-ca&" in load(SETTINGS).database_url


def test_the_address_of_the_broker_has_the_password_that_the_file_has_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDRAIL_BROKER_URL", "amqp://any:any@mq:5672")
    path = given(tmp_path, monkeypatch, "broker_passwords", "relay=before,finance=f")
    settings = load(SETTINGS)
    assert settings.broker_url_of("relay") == "amqp://relay:before@mq:5672"
    path.write_text("relay=after,finance=f")
    assert settings.broker_url_of("relay") == "amqp://relay:after@mq:5672"
