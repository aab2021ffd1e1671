"""The Compose file of the trips: real commands, good settings, and no password by default."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any, Final

import pytest
import yaml

from tests.runtime.conftest import ROOT

FOLDER: Final = ROOT / "examples/trips"
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = {name: service for name, service in SERVICES.items() if "build" in service}
SHOP: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DOCKERFILE: Final = (FOLDER / "Dockerfile").read_text()
REQUIRED: Final = re.compile(r"\$\{\w+:\?[^}]+\}")
"""A variable without which Compose starts nothing, with what it says then."""
UNDERSTOOD: Final = """
import json, sys
from handrail.cli.app_commands import add_commands
from handrail.cli.main import app
from trips.app import TRIPS

add_commands(app, TRIPS)
asked, found = json.load(sys.stdin), {}
for name, words in asked["commands"].items():
    command, bound, _ = app.parse_args(words, exit_on_error=False)
    found[name] = [command.__name__, sorted(bound.arguments)]
TRIPS.settings_type.model_validate(asked["settings"])
fields = sorted(TRIPS.settings_type.model_fields)
simulators = [one.name for one in TRIPS.simulators]
print(json.dumps({"commands": found, "fields": fields, "simulators": simulators}))
"""
each_service = pytest.mark.parametrize("name", SERVICES)


@pytest.fixture(scope="module")
def understood() -> dict[str, Any]:
    """What the command of the trips makes of the file, in a process of its own."""
    asked = {
        "commands": {name: service["command"] for name, service in OURS.items()},
        "settings": {field_of(name): text for name, text in settings().items()},
    }
    said = subprocess.run(
        [sys.executable, "-c", UNDERSTOOD],
        cwd=FOLDER,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def settings() -> dict[str, str]:
    """Of every process of ours, given a password."""
    return {
        name: REQUIRED.sub("a-password", text)
        for service in OURS.values()
        for name, text in service["environment"].items()
    }


def field_of(variable: str) -> str:
    return variable.removeprefix("HANDRAIL_").lower()


def texts(node: Any) -> list[str]:
    match node:
        case dict():
            return [text for value in node.values() for text in texts(value)]
        case list():
            return [text for value in node for text in texts(value)]
        case _:
            return [str(node)]


def test_every_process_and_company_is_there(understood: dict[str, Any]) -> None:
    assert set(OURS) == {"migrate", "worker", "projector", "api", *understood["simulators"]}


def test_the_commands_are_real_ones_with_real_options(understood: dict[str, Any]) -> None:
    for name, (command, arguments) in understood["commands"].items():
        options = [word[2:] for word in OURS[name]["command"] if word.startswith("--")]
        assert (command, arguments) == (name, sorted(options))


def test_the_variables_are_settings(understood: dict[str, Any]) -> None:
    variables = {
        *settings(),
        *(f"HANDRAIL_{name}" for name in re.findall(r"HANDRAIL_(\w+)=", DOCKERFILE)),
    }
    assert {field_of(name) for name in variables} - set(understood["fields"]) == set()


def test_no_password_has_a_default() -> None:
    assert [text for text in texts(COMPOSE) if "${" in REQUIRED.sub("", text)] == []
    for service in SERVICES.values():
        for name, text in service.get("environment", {}).items():
            if re.search(r"PASSWORD|PWD|://\w+:.+@", f"{name} {text}"):
                assert REQUIRED.search(text), f"{name} has a password that all know"


@each_service
def test_dependencies_exist_and_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        match how["condition"]:
            case "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"]
            case "service_completed_successfully":
                assert SERVICES[other]["restart"] in {"no", "on-failure:5", "on-failure:10"}
            case condition:
                pytest.fail(f"{name} waits for {other} to be {condition}")


@each_service
def test_the_servers_are_those_that_the_shop_runs_on(name: str) -> None:
    if name in SHOP and name not in OURS:
        assert SERVICES[name]["image"] == SHOP[name]["image"]
    assert re.search(r":\d+\.\d+", SERVICES[name]["image"])


@each_service
def test_files_exist_and_data_lives_in_named_volumes(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.partition(":")[0]
        assert source in COMPOSE["volumes"] or (FOLDER / source).is_dir()
    for word in SERVICES[name].get("entrypoint", []):
        if word.startswith("/docker/"):
            assert (ROOT / word.removeprefix("/")).is_file()


@each_service
def test_nothing_is_offered_to_the_whole_network(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_the_image_is_built_as_the_shops_and_holds_the_trips() -> None:
    _, wheel, image = re.split(r"\n(?=FROM )", DOCKERFILE)
    assert (ROOT / "Dockerfile").read_text().startswith(wheel)
    for line in re.findall(r"^COPY (?!--)(.+) \S+$", image, re.MULTILINE):
        assert [path for path in line.split() if not (ROOT / path).exists()] == []
    for service in OURS.values():
        build = service["build"]
        assert (FOLDER / build["context"]).resolve() == ROOT
        assert ROOT / build["dockerfile"] == FOLDER / "Dockerfile"
