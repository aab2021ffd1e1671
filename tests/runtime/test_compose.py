from __future__ import annotations

import asyncio
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml

from handrail.cli.app_commands import add_commands
from handrail.cli.database_commands import roles as database_roles
from handrail.cli.main import app
from handrail.dev.rabbitmq import PLUGINS
from handrail.dev.temporal import search_attributes
from handrail.messaging.broker.management_api import login_in
from handrail.messaging.broker.topology import topology
from handrail.migrate import migrate
from handrail.secret_files import secrets_of
from handrail.temporal.payload_keys import KeyRing
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.runtime.conftest import ROOT
from tests.servers.postgres import a_server

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
each_of_ours = pytest.mark.parametrize("name", OURS)
each_service = pytest.mark.parametrize("name", SERVICES)
SECRETS = "/run/secrets/"
KEPT_IN_FILES = ("./docker", "./secrets/logins", "./secrets/prometheus")
OF_TRACES = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}
OBSERVING = {name: one for name, one in SERVICES.items() if "profiles" in one}
add_commands(app, HANDRAIL)


def test_every_process_of_ours_is_there() -> None:
    simulators = {"bank", "carrier", "registry", "provider"}
    messaging = {"topology", "relay"} | {f"consumer-{one.name}" for one in HANDRAIL.consumers}
    processes = {"migrate", "database-roles", "worker", "projector", "notifier", "api", "codec"}
    processes |= {"dispatcher"}
    assert set(OURS) == processes | messaging | simulators


@each_of_ours
def test_the_command_is_a_real_one_with_real_options(name: str) -> None:
    command, bound, _ = app.parse_args(OURS[name]["command"], exit_on_error=False)

    named = {"topology": "apply", "relay": "run", "database-roles": "roles"}
    expected = named.get(name, name.partition("-")[0])
    assert command.__name__ == expected
    given = {word.removeprefix("--") for word in OURS[name]["command"] if word.startswith("--")}
    if name.startswith("consumer-"):
        assert HANDRAIL.consumer(bound.arguments.pop("name"))
    assert set(bound.arguments) == given


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make secrets` has written into an empty folder."""
    folder = tmp_path_factory.mktemp("compose")
    make_secrets(folder)
    return folder


def make_secrets(folder: Path) -> str:
    script = ROOT / "docker" / "make_secrets.py"
    done = subprocess.run(
        [sys.executable, "-I", script, folder], capture_output=True, text=True, check=True
    )
    return done.stdout


def secret_of(written: Path, name: str) -> str:
    file: str = COMPOSE["secrets"][name]["file"]
    return (written / file).read_text().rstrip("\n")


def given_to(name: str, written: Path) -> dict[str, str]:
    """The settings of a service, by field, with the secrets that their files hold."""
    found = {}
    for variable, value in OURS[name]["environment"].items():
        if variable in OF_TRACES:
            continue
        field = variable.removeprefix("HANDRAIL_").lower()
        if not value.startswith(SECRETS):
            found[field] = re.sub(r"\$\{\w+:-(\w*)\}", r"\1", value)
        elif field in ShopSettings.model_fields:  # it is a file
            found[field] = str(written / COMPOSE["secrets"][value.removeprefix(SECRETS)]["file"])
        else:
            found[field.removesuffix("_file")] = secret_of(written, value.removeprefix(SECRETS))
    return found


@each_of_ours
def test_the_variables_are_settings_with_good_values(name: str, written: Path) -> None:
    settings = given_to(name, written)

    others = [one for one in OURS[name]["environment"] if not one.startswith("HANDRAIL_")]
    assert set(others) == OF_TRACES
    assert set(settings) <= set(ShopSettings.model_fields)
    ShopSettings.model_validate(settings)


@each_service
def test_a_service_names_the_secrets_it_reads_and_no_others(name: str) -> None:
    service = SERVICES[name]
    targets = {one if isinstance(one, str) else one["target"] for one in service.get("secrets", [])}
    read = {
        value.removeprefix(SECRETS)
        for value in service.get("environment", {}).values()
        if str(value).startswith(SECRETS)
    }
    scripts = {"rabbitmq": {"/etc/rabbitmq/conf.d/20-login.conf"}}
    assert targets == read | scripts.get(name, set())


@each_of_ours
def test_a_service_reads_only_what_is_declared_for_its_process(name: str) -> None:
    declared = secrets_of(ShopSettings)
    kind = "migrate" if name == "database-roles" else name.partition("-")[0]
    for variable in OURS[name]["environment"]:
        field = variable.removeprefix("HANDRAIL_").lower()
        field = field if field in declared else field.removesuffix("_file")
        own = {f"{name}_webhook_secrets"} if name in {"bank", "carrier"} else set()
        assert field not in declared or kind in declared[field] or field in own


def test_only_what_makes_tables_and_roles_gets_the_url_of_the_owner(written: Path) -> None:
    owner = secret_of(written, "postgres_password")
    for name in OURS:
        knows = owner in " ".join(given_to(name, written).values())
        assert knows == (name in {"migrate", "database-roles"}), name


def test_there_is_no_password_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    ways_in = {"HANDRAIL_AUTH", "HANDRAIL_AUTH_ISSUER", "HANDRAIL_AUTH_AUDIENCE"}
    plain = {*ways_in, "HANDRAIL_BUILD_ID", *(OF_TRACES - {"OTEL_TRACES_SAMPLER"})}
    assert {*re.findall(r"\$\{(\w+):-", text)} == plain
    named = {*re.findall(r"\$\{(\w+)", text)}
    assert named - plain == {*re.findall(r"\$\{(\w+):\?run make secrets\}", text)}
    assert "whsec_" not in text
    assert re.findall(r"://\w+:[^@/]+@", text) == []


def test_make_secrets_writes_all_that_compose_wants_for_its_owner_alone(written: Path) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    variables = dict(
        line.split("=", 1) for line in (written / ".env").read_text().splitlines() if line
    )
    assert set(variables) == {*re.findall(r"\$\{(\w+):\?", text)}
    assert int(variables["HANDRAIL_UID"]) != 0
    files = [written / one["file"] for one in COMPOSE["secrets"].values()]
    for path in (*files, written / ".env"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_size > 16
    assert stat.S_IMODE((written / "secrets").stat().st_mode) == 0o700


def test_make_secrets_never_writes_twice(written: Path) -> None:
    before = {one: one.read_bytes() for one in written.rglob("*") if one.is_file()}
    assert "everything is there already" in make_secrets(written)
    assert {one: one.read_bytes() for one in written.rglob("*") if one.is_file()} == before


def test_two_runs_write_different_secrets(written: Path, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    for name in COMPOSE["secrets"]:
        assert secret_of(written, name) != secret_of(tmp_path, name), name


def test_the_payload_keys_are_a_ring(written: Path) -> None:
    assert KeyRing(written / COMPOSE["secrets"]["payload_keys"]["file"]).encrypting


def test_each_process_is_its_own_user_at_the_broker_and_knows_no_other(written: Path) -> None:
    settings = given_to("topology", written)
    made = dict(login.split("=") for login in settings["broker_passwords"].split(","))
    users = {"relay": "relay"} | {f"consumer-{one.name}": one.vhost for one in HANDRAIL.consumers}

    assert set(made) == set(topology(HANDRAIL.routing, HANDRAIL.consumers).users)
    for name in set(OURS) - {"topology"}:
        found = {one for one in given_to(name, written) if one.startswith("broker")}
        looks = {"broker_bindings_url"} if name == "relay" else set()
        assert found == ({"broker_url", *looks} if name in users else set())
    for name, user in users.items():
        url = urlsplit(given_to(name, written)["broker_url"])
        assert (url.username, url.password) == (user, made[user])
        assert (url.hostname, url.port) == ("rabbitmq", 5672)
        assert OURS[name]["depends_on"]["topology"]
    looks_as = login_in(given_to("relay", written)["broker_bindings_url"])
    assert looks_as == ("relay", made["relay"])


def test_the_topology_is_made_by_the_administrator_that_the_broker_begins_with(
    written: Path,
) -> None:
    user, password = login_in(given_to("topology", written)["broker_management_url"])
    begins_with = secret_of(written, "broker.conf").splitlines()

    assert begins_with == [f"default_user = {user}", f"default_pass = {password}"]


@each_service
def test_a_service_has_no_capability_and_gains_no_privilege(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@each_of_ours
def test_our_processes_are_not_root_and_write_nothing_but_their_volume(name: str) -> None:
    assert (
        OURS[name]["user"] == "${HANDRAIL_UID:?run make secrets}:${HANDRAIL_GID:?run make secrets}"
    )
    assert OURS[name]["read_only"] is True
    assert OURS[name]["tmpfs"] == ["/tmp"]


@pytest.mark.thorough
async def test_each_process_logs_in_with_the_password_that_was_written_for_it(
    tmp_path: Path, written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `migrate` and `database-roles` do it, on a server that has nothing yet."""
    async with a_server(tmp_path / "postgres") as server:
        settings = ShopSettings(migration_database_url=server.url)
        await asyncio.to_thread(migrate, server.url, "handrail_app", app=HANDRAIL)
        folder = written / "secrets" / "logins"
        assert await asyncio.to_thread(database_roles, HANDRAIL, settings, folder) == 0
        for name in ("api", "worker", "projector", "notifier", "dispatcher", "consumer-finance"):
            url = urlsplit(given_to(name, written)["database_url"])
            assert url.username == f"handrail_{name.replace('-', '_')}"
            netloc = f"{url.username}:{url.password}@127.0.0.1:{server.port}"
            here = url._replace(netloc=netloc).geturl()
            async with await psycopg.AsyncConnection.connect(here, autocommit=True) as one:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await one.execute("DELETE FROM events")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await one.execute("SET ROLE postgres")
    assert secret_of(written, "database_url_worker") not in capsys.readouterr().out


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
    assert re.search(r":v?\d+\.\d+", SERVICES[name]["image"])


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


def test_temporal_has_a_postgres_of_its_own(written: Path) -> None:
    temporal = SERVICES["temporal"]["environment"]["POSTGRES_SEEDS"]
    ours = given_to("worker", written)["database_url"]

    assert "postgres" in SERVICES[temporal]["image"]
    assert f"@{temporal}:" not in ours
    assert SERVICES["temporal-schema"]["environment"]["POSTGRES_SEEDS"] == temporal


@each_service
def test_data_lives_in_named_volumes(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.partition(":")[0]
        assert source in COMPOSE["volumes"] or source.startswith(KEPT_IN_FILES)


def test_both_databases_keep_their_data() -> None:
    sources = [
        volume.partition(":")[0]
        for name in ("postgres", "temporal-postgres")
        for volume in SERVICES[name]["volumes"]
        if not volume.startswith("./")
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


def test_what_observes_starts_with_its_profile_alone() -> None:
    assert set(OBSERVING) == {"prometheus", "grafana", "traces"}
    assert all(one["profiles"] == ["observability"] for one in OBSERVING.values())
    needed = {name for one in SERVICES.values() for name in one.get("depends_on", {})}
    assert needed.isdisjoint(OBSERVING)


def test_every_process_with_metrics_is_scraped_where_it_serves_them() -> None:
    folder = ROOT / "docker" / "prometheus"
    found = yaml.safe_load((folder / "prometheus.yml").read_text())
    at = {
        name: (one["job_name"], one["dns_sd_configs"][0]["port"])
        for one in found["scrape_configs"]
        for name in one["dns_sd_configs"][0]["names"]
    }
    consumers = {f"consumer-{one.name}" for one in HANDRAIL.consumers}
    metrics = {"worker", "projector", "notifier", "dispatcher", "relay", *consumers}
    assert at == {"api": ("api", 8080)} | {name: (name, 9100) for name in metrics}
    for name in metrics:
        assert OURS[name]["environment"]["HANDRAIL_METRICS_PORT"] == "9100"
    assert [(folder / name).is_file() for name in found["rule_files"]] == [True]


def test_the_collector_of_traces_and_the_sources_of_grafana_are_services() -> None:
    sources = ROOT / "docker" / "grafana" / "provisioning" / "datasources" / "handrail.yml"
    for one in yaml.safe_load(sources.read_text())["datasources"]:
        assert urlsplit(one["url"]).hostname in OBSERVING
    page = (ROOT / "docs" / "observability.md").read_text()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://traces:4318" in page


@each_service
def test_scripts_exist(name: str) -> None:
    for word in SERVICES[name].get("entrypoint", []):
        if word.startswith("/docker/"):
            assert (ROOT / word.removeprefix("/")).is_file()
