from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from handrail.cli.app_commands import add_commands
from handrail.cli.main import app
from handrail.dev.rabbitmq import PLUGINS
from handrail.dev.temporal import search_attributes
from handrail.messaging.broker.management_api import login_in
from handrail.messaging.broker.topology import topology
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.runtime.conftest import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
each_of_ours = pytest.mark.parametrize("name", OURS)
each_service = pytest.mark.parametrize("name", SERVICES)
add_commands(app, HANDRAIL)


def test_every_process_of_ours_is_there() -> None:
    simulators = {"bank", "carrier", "registry", "provider"}
    messaging = {"topology", "relay"} | {f"consumer-{one.name}" for one in HANDRAIL.consumers}
    processes = {"migrate", "worker", "projector", "notifier", "api"}
    assert set(OURS) == processes | messaging | simulators


@each_of_ours
def test_the_command_is_a_real_one_with_real_options(name: str) -> None:
    command, bound, _ = app.parse_args(OURS[name]["command"], exit_on_error=False)

    expected = {"topology": "apply", "relay": "run"}.get(name, name.partition("-")[0])
    assert command.__name__ == expected
    given = {word.removeprefix("--") for word in OURS[name]["command"] if word.startswith("--")}
    if name.startswith("consumer-"):
        assert HANDRAIL.consumer(bound.arguments.pop("name"))
    assert set(bound.arguments) == given


@each_of_ours
def test_the_variables_are_settings_with_good_values(name: str) -> None:
    variables = defaults_of(name)
    settings = {
        variable.removeprefix("HANDRAIL_").lower(): variables[variable] for variable in variables
    }

    assert all(variable.startswith("HANDRAIL_") for variable in variables)
    assert set(settings) <= set(ShopSettings.model_fields)
    ShopSettings.model_validate(settings)


def defaults_of(name: str) -> dict[str, str]:
    """Its variables where nobody sets another password."""
    return {
        variable: re.sub(r"\$\{\w+:-(\w*)\}", r"\1", value)
        for variable, value in OURS[name]["environment"].items()
    }


def test_each_process_is_its_own_user_at_the_broker_and_knows_no_other() -> None:
    settings = defaults_of("topology")
    made = dict(login.split("=") for login in settings["HANDRAIL_BROKER_PASSWORDS"].split(","))
    users = {"relay": "relay"} | {f"consumer-{one.name}": one.vhost for one in HANDRAIL.consumers}

    assert set(made) == set(topology(HANDRAIL.routing, HANDRAIL.consumers).users)
    for name in set(OURS) - {"topology"}:
        found = {one for one in OURS[name]["environment"] if one.startswith("HANDRAIL_BROKER")}
        assert found == ({"HANDRAIL_BROKER_URL"} if name in users else set())
    for name, user in users.items():
        url = urlsplit(defaults_of(name)["HANDRAIL_BROKER_URL"])
        assert (url.username, url.password) == (user, made[user])
        assert (url.hostname, url.port) == ("rabbitmq", 5672)
        assert OURS[name]["depends_on"]["topology"]


def test_the_topology_is_made_by_the_administrator_that_the_broker_begins_with() -> None:
    login = login_in(defaults_of("topology")["HANDRAIL_BROKER_MANAGEMENT_URL"])
    begins_with = SERVICES["rabbitmq"]["environment"]
    password = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", begins_with["RABBITMQ_DEFAULT_PASS"])

    assert login == (begins_with["RABBITMQ_DEFAULT_USER"], password)


def test_the_broker_has_the_plugins_that_the_topology_needs() -> None:
    file = SERVICES["rabbitmq"]["environment"]["RABBITMQ_ENABLED_PLUGINS_FILE"]
    plugins = (ROOT / file.removeprefix("/")).read_text()

    assert "rabbitmq_federation_management" in plugins
    assert plugins.rstrip().endswith("].")
    assert {*PLUGINS} <= {*re.findall(r"\w+", plugins)}


def test_the_image_sets_only_settings() -> None:
    said = re.findall(r"HANDRAIL_(\w+)=", (ROOT / "Dockerfile").read_text())

    assert said
    assert {name.lower() for name in said} <= set(ShopSettings.model_fields)


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
def test_the_image_is_pinned(name: str) -> None:
    assert re.search(r":\d+\.\d+", SERVICES[name]["image"])


def test_the_base_image_is_pinned() -> None:
    assert re.match(r"FROM python:3\.\d+\.\d+-", (ROOT / "Dockerfile").read_text())


def test_every_process_that_serves_says_when() -> None:
    [ready] = re.findall(r"HANDRAIL_READY_FILE=(\S+)", (ROOT / "Dockerfile").read_text())

    for name in ("worker", "projector", "relay", "consumer-finance", "bank", "carrier"):
        assert OURS[name]["healthcheck"]["test"] == ["CMD", "test", "-f", ready]


def test_the_health_of_the_api_is_a_real_endpoint() -> None:
    check = " ".join(SERVICES["api"]["healthcheck"]["test"])
    [(port, path)] = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", check)

    assert int(port) == ShopSettings.model_fields["api_port"].default
    assert any(
        f'"{path}"' in module.read_text() for module in (ROOT / "handrail" / "http").rglob("*.py")
    )


def test_temporal_has_a_postgres_of_its_own() -> None:
    temporal = SERVICES["temporal"]["environment"]["POSTGRES_SEEDS"]
    ours = OURS["worker"]["environment"]["HANDRAIL_DATABASE_URL"]

    assert "postgres" in SERVICES[temporal]["image"]
    assert f"@{temporal}:" not in ours
    assert SERVICES["temporal-schema"]["environment"]["POSTGRES_SEEDS"] == temporal


@each_service
def test_data_lives_in_named_volumes(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.partition(":")[0]
        assert source in COMPOSE["volumes"] or source == "./docker"


def test_both_databases_keep_their_data() -> None:
    sources = [
        volume.partition(":")[0]
        for name in ("postgres", "temporal-postgres")
        for volume in SERVICES[name]["volumes"]
    ]

    assert len(set(sources)) == 2


@each_service
def test_nothing_is_offered_to_the_whole_network(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_the_namespace_gets_the_search_attributes_of_the_sagas() -> None:
    script = (ROOT / "docker" / "temporal-namespace.sh").read_text()
    made = dict(re.findall(r"(\w+)=(Keyword|Datetime)", script))
    types = {2: "Keyword", 6: "Datetime"}  # as Temporal's IndexedValueType counts them

    assert made == {
        key.name: types[int(key.indexed_value_type)] for key in search_attributes(HANDRAIL.tenant)
    }


@each_service
def test_scripts_exist(name: str) -> None:
    for word in SERVICES[name].get("entrypoint", []):
        if word.startswith("/docker/"):
            assert (ROOT / word.removeprefix("/")).is_file()
