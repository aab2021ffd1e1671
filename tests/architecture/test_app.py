"""The App is found as documented, holds what there is, and refuses what is declared wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.credit.commands import HoldCredit
from domain.credit.events import CreditHeld
from handrail.app import App, Context
from handrail.load_app import NoApp, find_app
from handrail.settings import APP_VARIABLE
from handrail.wrongly_declared import WronglyDeclared
from runtime.app import HANDRAIL

ROOT = Path(__file__).parents[2]


def test_the_app_is_found_from_any_folder_of_the_project() -> None:
    assert find_app(ROOT / "docs" / "decisions") is HANDRAIL


def test_the_environment_names_the_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(APP_VARIABLE, "runtime.app:HANDRAIL")
    assert find_app(tmp_path) is HANDRAIL


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("runtime.app", 'HANDRAIL_APP: must look like "runtime.app:HANDRAIL"'),
        ("runtime.absent:HANDRAIL", "there is no module runtime.absent to import"),
        ("runtime.app:ABSENT", "runtime.app has no ABSENT"),
        ("runtime.app:BROKER", "is not a handrail.app.App"),
    ],
)
def test_an_app_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str, said: str
) -> None:
    monkeypatch.setenv(APP_VARIABLE, named)
    with pytest.raises(NoApp, match=said.replace("(", r"\(")):
        find_app(tmp_path)


def test_a_folder_without_an_app_is_told_what_to_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(APP_VARIABLE, raising=False)
    with pytest.raises(NoApp, match=r"\[tool.handrail\] app"):
        find_app(tmp_path)


def test_a_message_of_another_context_is_refused() -> None:
    with pytest.raises(WronglyDeclared, match="HoldCredit is listed in the context loans"):
        Context(name="loans", commands=(HoldCredit,))


def test_two_contexts_of_one_name_are_refused() -> None:
    twice = Context(name="credit", events=(CreditHeld,))
    with pytest.raises(WronglyDeclared, match="two contexts are named credit: rename one"):
        App(contexts=[twice, twice])
