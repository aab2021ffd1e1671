"""What the settings of authentication are refused for, before anything starts."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pydantic import ValidationError

from handrail.access.authentication import Development
from handrail.access.sign_in import SignIn
from handrail.processes.authentication import authentication_of, needs_four_eyes
from handrail.refused_settings import BAD_SETTINGS
from handrail.settings import Settings
from runtime.app import HANDRAIL

NO_DATABASE: Any = cast("Any", None)


def configured(**settings: Any) -> object:
    return authentication_of(HANDRAIL.access, Settings(**settings), NO_DATABASE)


def test_development_is_for_this_machine() -> None:
    assert isinstance(configured(auth="development"), Development)
    assert isinstance(configured(auth="development", api_host="::1"), Development)
    assert isinstance(configured(auth="development", api_host="localhost"), Development)


def test_keys_alone_need_nothing_more() -> None:
    assert isinstance(configured(auth="keys", api_host="0.0.0.0"), SignIn)


def test_an_issuer_is_enough_to_say_how() -> None:
    issuer = {"auth_issuer": "https://id.example/", "auth_audience": "shop"}
    assert isinstance(configured(api_host="0.0.0.0", **issuer), SignIn)


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({}, "HANDRAIL_AUTH"),
        ({"auth": "development", "api_host": "0.0.0.0"}, "HANDRAIL_AUTH"),
        ({"auth": "development", "api_host": "::"}, "HANDRAIL_AUTH"),
        ({"auth": "development", "api_host": "api.example"}, "HANDRAIL_AUTH"),
        ({"auth": "development", "auth_issuer": "https://id.example"}, "HANDRAIL_AUTH"),
        ({"auth": "oidc"}, "HANDRAIL_AUTH_ISSUER"),
        ({"auth_issuer": "https://id.example"}, "HANDRAIL_AUTH_AUDIENCE"),
        (
            {
                "auth_issuer": "https://id.example",
                "auth_audience": "shop",
                "auth_jwks_url": "https://id.example/keys",
                "auth_jwks_file": "keys.json",
            },
            "HANDRAIL_AUTH_JWKS_FILE",
        ),
    ],
)
def test_what_is_not_safe_ends_the_process_with_a_line_that_names_the_variable(
    settings: dict[str, Any], variable: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        configured(**settings)
    assert ended.value.code == BAD_SETTINGS
    assert capsys.readouterr().err.startswith(f"{variable}: ")


@pytest.mark.parametrize(
    "settings",
    [
        {"auth": "off"},
        {"auth_issuer": "http://id.example"},
        {"auth_issuer": "https://user:password@id.example"},
        {"auth_jwks_url": "ftp://id.example/keys"},
        {"auth_algorithms": "HS256"},
        {"auth_algorithms": "ES256,none"},
        {"auth_algorithms": ""},
        {"auth_clock_skew_seconds": 301},
        {"auth_token_seconds": 604_801},
        {"auth_jwks_seconds": 0},
        {"auth_key_seconds": 61},
        {"auth_roles": "ops"},
        {"api_token": "two words"},
    ],
)
def test_a_setting_out_of_its_bounds_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**settings)


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"auth": "development"}, False),
        ({"auth": "development", "four_eyes": "on"}, True),
        ({"auth": "keys"}, True),
        ({"auth": "keys", "four_eyes": "off"}, False),
    ],
)
def test_a_second_person_is_needed_where_callers_sign_in(
    settings: dict[str, Any],
    needed: bool,  # noqa: FBT001  # of the table above
) -> None:
    assert needs_four_eyes(Settings(**settings)) is needed


def test_no_setting_with_a_secret_is_printed() -> None:
    assert "hr_" not in repr(Settings(api_token="hr_abc"))
