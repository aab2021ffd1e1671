"""What an App brings to the processes: settings, simulators, commands, options, activities."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import cyclopts
import pytest

from handrail.app import LIBRARY_COMMANDS, App, Context, OperatorCommand
from handrail.cli.app_commands import add_commands
from handrail.cli.main import app as command_line
from handrail.sagas.options import RunOptions
from handrail.settings import Settings, load
from handrail.settings_table import settings_table
from handrail.simulators.simulator import Simulator
from handrail.wrongly_declared import WronglyDeclared
from runtime.app import HANDRAIL


def _nothing(_: Path | None, __: Any) -> None: ...


def a_simulator(name: str = "airline", address: str = "provider_url", secrets: str = "") -> Any:
    return Simulator(
        name=name, purpose="Simulate it.", create=_nothing, address=address, secrets=secrets
    )


def test_a_simulator_of_an_unknown_setting_is_refused() -> None:
    said = "the simulator airline names the setting airline_url, which Settings does not have"
    with pytest.raises(WronglyDeclared, match=said):
        App(contexts=[], simulators=[a_simulator(address="airline_url")])


def test_a_simulator_that_signs_with_an_unknown_setting_is_refused() -> None:
    with pytest.raises(WronglyDeclared, match="names the setting airline_secrets"):
        App(contexts=[], simulators=[a_simulator(secrets="airline_secrets")])


def test_a_command_that_the_library_has_is_refused() -> None:
    with pytest.raises(WronglyDeclared, match="two commands are named worker: rename one"):
        App(contexts=[], simulators=[a_simulator(name="worker")])


def test_two_commands_of_one_name_are_refused() -> None:
    command = OperatorCommand(name="airline", at="a:b", help="")
    with pytest.raises(WronglyDeclared, match="two commands are named airline"):
        App(contexts=[], operator_commands=[command], simulators=[a_simulator()])


def test_the_names_of_the_librarys_commands_are_taken() -> None:
    shops = {one.name for one in HANDRAIL.operator_commands}
    shops |= {one.name for one in HANDRAIL.simulators}
    known = {name for name in command_line if not name.startswith("-")}
    assert known - shops == set(LIBRARY_COMMANDS)


@pytest.mark.parametrize("command", HANDRAIL.operator_commands, ids=lambda one: one.name)
def test_a_command_of_the_shop_is_where_it_says(command: OperatorCommand) -> None:
    module, _, name = command.at.partition(":")
    assert callable(getattr(import_module(module), name))


def test_an_app_adds_its_commands_to_the_command_line() -> None:
    cli = cyclopts.App()
    add_commands(cli, App(contexts=[], simulators=[a_simulator()]))
    _, bound, _ = cli.parse_args(["airline", "--port", "9001"])
    assert bound.arguments == {"port": 9001}


def test_a_worker_serves_the_contexts_of_its_app(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App(contexts=[Context(name="travel")])
    assert load(app.settings_type).worker_contexts == ("sagas", "travel")

    monkeypatch.setenv("HANDRAIL_WORKER_CONTEXTS", "credit")
    with pytest.raises(SystemExit):
        load(app.settings_type)
    said = "HANDRAIL_WORKER_CONTEXTS: credit: not one of sagas, travel\n"
    assert capsys.readouterr().err == said


def test_the_variable_that_names_the_app_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDRAIL_APP", "runtime.app:HANDRAIL")
    load(HANDRAIL.settings_type)
    assert "HANDRAIL_APP" not in capsys.readouterr().err


def test_an_app_without_settings_of_its_own_has_those_of_the_library() -> None:
    page = settings_table(App(contexts=[]).settings_type)
    assert "HANDRAIL_DATABASE_URL" in page
    assert "HANDRAIL_BANK_URL" not in page
    assert "HANDRAIL_BANK_URL" in settings_table(HANDRAIL.settings_type)


def test_sagas_without_options_of_their_own_run_as_the_settings_say() -> None:
    options = App(contexts=[]).options(Settings(step_placement="queues", task_queue_prefix="q."))
    assert options == RunOptions(
        steps="queues",
        queue_prefix="q.",
        first_try_seconds=1,
        keys_kept_seconds=82_800,
    )
