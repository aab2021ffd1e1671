"""`handrail keys`: what an administrator types, against a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from handrail.cli.keys import keys

Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def run(
    database_with_read_models: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", database_with_read_models)

    def command(*words: str) -> tuple[int, dict[str, Any], str]:
        code = keys([*words, "--json"], exit_on_error=False, result_action="return_value")
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else {}, said.err

    return command


def test_a_key_is_made_rotated_and_revoked(run: Run) -> None:
    code, made, _ = run("create", "frontend", "--role", "service", "--actor", "ann")
    assert code == 0
    assert made["key"].startswith(f"hr_{made['id']}_")
    assert (made["created_by"], made["state"]) == ("ann", "valid")
    _, other, _ = run("rotate", "frontend", "--actor", "bob")
    assert (other["replaces"], other["roles"]) == (made["id"], ["service"])
    _, ended, _ = run("revoke", made["id"], "--reason", "it leaked", "--actor", "carl")
    assert (ended["state"], ended["revoked_by"]) == ("revoked", "carl")
    _, valid, _ = run("list")
    assert [one["id"] for one in valid["keys"]] == [other["id"]]
    _, every, _ = run("list", "--all")
    assert [one["id"] for one in every["keys"]] == [other["id"], made["id"]]
    assert "key" not in every["keys"][0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "a", "--role", "king"], "there is no role king: one of reader, operator"),
        (["create", "a", "--scope", "orders:raed"], "there is no scope orders:raed"),
        (["create", "a"], "say what it may do: --role or --scope"),
        (["create", "a", "--role", "merchant"], "the key has the role merchant, and does not say"),
    ],
)
def test_a_key_without_sensible_rights_is_not_made(run: Run, words: list[str], said: str) -> None:
    code, _, error = run(*words)
    assert code == 2
    assert said in error


def test_what_cannot_be_done_says_what_to_do_next(run: Run) -> None:
    code, _, error = run("rotate", "nobody")
    assert code == 1
    assert error.splitlines()[-1] == "nobody has no valid key: create one"
