"""Operator commands take exchanges, topology and ready questions from the App that is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("handrail"))
AT_A_BROKER = {
    "HANDRAIL_BROKER_URL": "amqp://relay:x@127.0.0.1:1",
    "HANDRAIL_BROKER_MANAGEMENT_URL": "http://admin:x@127.0.0.1:1",
    "HANDRAIL_BROKER_PASSWORDS": "relay=x",
}


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The folder of a project whose App declares nothing."""
    (tmp_path / "bare_app.py").write_text(
        "from handrail.app import App\n\nBARE = App(contexts=[])\n"
    )
    (tmp_path / "pyproject.toml").write_text('[tool.handrail]\napp = "bare_app:BARE"\n')
    return tmp_path


def said(folder: Path, *arguments: str) -> tuple[int, str]:
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "200", **AT_A_BROKER}
    ended = subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.quick(1)
@pytest.mark.parametrize("command", [("relay", "parked"), ("topology", "export")])
def test_commands_at_the_broker_say_that_the_app_declares_none(
    bare: Path, command: tuple[str, str]
) -> None:
    pytest.importorskip("aiormq", reason="NOT TESTED: the extra `broker` is not installed")
    code, text = said(bare, *command)

    assert code == 2
    assert "The App declares no broker: give it `broker=BrokerPlan(home=…)`." in text


def test_a_retry_for_an_exchange_that_is_not_there_names_those_that_are() -> None:
    code, text = said(Path(__file__).parents[2], "relay", "retry", "cash")

    assert code == 2
    assert "no exchange cash: one of events, money, parcels, sagas, unknown" in text


@pytest.mark.thorough
def test_the_ready_questions_are_those_of_the_app(bare: Path) -> None:
    code, text = said(Path(__file__).parents[2], "lake", "questions")

    assert (code, text.split()[0]) == (0, "refusals")
    assert said(bare, "lake", "questions") == (0, "")
