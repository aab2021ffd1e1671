from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import httpx
import psutil
import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.app import App
from handrail.dev.lock import StackAlreadyRunning, joined, running_stack
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.stack import Stack, has_provider
from handrail.dev.supervisor import ComponentEnded, FailedToStart, free_port
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.runtime.conftest import Spawn

pytestmark = pytest.mark.journey


@pytest.fixture
def settings(tmp_path: Path, database: str, temporal: WorkflowEnvironment) -> ShopSettings:
    """Servers of somebody else: only the simulators are left to start."""
    return ShopSettings(
        data_dir=tmp_path / "var",
        database_url=database,
        temporal_address=temporal.client.service_client.config.target_host,
        api_port=0,
    )


def partial(settings: ShopSettings) -> Stack:
    return Stack(HANDRAIL, settings, workers=0, projectors=0, api=False)


@pytest.fixture
async def stack(settings: ShopSettings) -> AsyncIterator[Stack]:
    async with partial(settings) as stack:
        yield stack


def test_callers_are_believed_where_nothing_says_how_they_sign_in(settings: ShopSettings) -> None:
    stack = partial(settings)
    assert stack.settings.auth == "development"
    assert "HANDRAIL_AUTH=development" in stack.sign_in


def test_callers_sign_in_where_the_settings_say_how(settings: ShopSettings) -> None:
    keys = partial(settings.model_copy(update={"auth": "keys"}))
    assert (keys.settings.auth, keys.sign_in) == ("keys", "API keys: handrail keys create")
    issuer = partial(settings.model_copy(update={"auth_issuer": "https://id.example"}))
    assert (issuer.settings.auth, issuer.sign_in) == (None, "tokens of https://id.example")


def test_no_process_gets_the_token_of_commands(settings: ShopSettings) -> None:
    signed_in = settings.model_copy(update={"api_token": "hr_secret"})
    assert "hr_secret" not in str(signed_in.known_to("worker").environment())


def test_workers_of_a_stack_have_no_version(settings: ShopSettings) -> None:
    released = partial(settings.model_copy(update={"build_id": "1.0"}))
    assert "HANDRAIL_BUILD_ID" not in released.settings.environment()


async def test_everything_without_an_address_is_started_and_stopped(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    stack = Stack(
        HANDRAIL,
        ShopSettings(data_dir=tmp_path, api_port=0),
        workers=0,
        projectors=0,
        api=False,
        progress=lambda component, state: seen.append((component, state)),
    )

    async with stack:
        family = psutil.Process().children(recursive=True)
        async with httpx.AsyncClient() as http:
            assert (await http.get(stack.address_of("bank"))).status_code < 500
            assert (await http.get(stack.address_of("carrier"))).status_code < 500
            assert (await http.get(stack.address_of("registry"))).status_code < 500
            assert (await http.get(str(stack.temporal_ui_url))).status_code == 200

    ready = [component for component, state in seen if state == "ready"]
    assert sorted(ready) == ["bank", "carrier", "migrations", "postgres", "registry", "temporal"]
    assert ready.index("postgres") < ready.index("migrations") < ready.index("bank")
    assert [component for component, state in seen if state == "stopped"][-2:] == [
        "temporal",
        "postgres",
    ]
    assert stack.postgres
    assert stack.temporal
    assert not stack.postgres.running
    assert not stack.temporal.running
    mine = {str(tmp_path)}
    left = [each for each in family if each.is_running() and mine & set(_command(each))]
    assert left == []


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


async def test_notifiers_bring_a_provider_along(settings: ShopSettings) -> None:
    async with Stack(HANDRAIL, settings, workers=0, projectors=0, notifiers=2, api=False) as stack:
        assert [service.name for service in stack.notifiers] == ["notifier-1", "notifier-2"]
        async with httpx.AsyncClient() as http:
            ledger = await http.get(f"{stack.address_of('provider')}/ledger")
        assert ledger.json() == {"messages": []}
        assert all(service.running for service in stack.notifiers)

    elsewhere = settings.model_copy(update={"provider_url": "http://provider.example"})
    async with Stack(HANDRAIL, elsewhere, workers=0, projectors=0, notifiers=1, api=False) as stack:
        assert "provider" not in stack.simulators


def test_notifiers_are_started_where_there_is_a_provider() -> None:
    without = ShopSettings(provider_url=None)
    elsewhere = ShopSettings.model_validate({"provider_url": "http://127.0.0.1:9"})
    assert has_provider(HANDRAIL, without)
    assert not has_provider(App(contexts=()), without)
    assert has_provider(App(contexts=()), elsewhere)


async def test_what_has_an_address_is_not_started(stack: Stack, settings: ShopSettings) -> None:
    assert stack.postgres is None
    assert stack.temporal is None
    assert stack.database_url == settings.database_url


async def test_simulators_get_secrets_of_this_run_and_somebody_elses_company_gets_none(
    settings: ShopSettings,
) -> None:
    elsewhere = settings.model_copy(update={"bank_url": "http://bank.example"})
    made = []
    for _ in range(2):
        async with partial(elsewhere) as stack:
            assert _learned(stack).bank_webhook_secrets == ()
            [secret] = _learned(stack).carrier_webhook_secrets
            assert stack.settings.webhook_target_url is None, "there is no API to tell"
            made.append(secret)
    assert made[0] != made[1]
    given = elsewhere.model_copy(update={"carrier_webhook_secrets": tuple(made)})
    async with partial(given) as stack:
        assert _learned(stack).carrier_webhook_secrets == tuple(made)


def _learned(stack: Stack) -> ShopSettings:
    return cast("ShopSettings", stack.settings)


async def test_a_second_stack_on_the_folder_says_what_is_running(
    stack: Stack, settings: ShopSettings, handrail: Spawn
) -> None:
    with pytest.raises(StackAlreadyRunning):
        await partial(settings).__aenter__()

    process = await handrail("up", data_dir=str(stack.data_dir))
    _, error = await process.communicate()

    assert process.returncode == 1
    said = error.decode()
    assert f"pid: {psutil.Process().pid}" in said
    assert stack.temporal_address in said
    assert stack.address_of("bank") in said
    assert "postgresql://" not in said  # a password is no news for a terminal


async def test_a_process_beside_a_running_stack_finds_its_addresses(
    stack: Stack, settings: ShopSettings
) -> None:
    found = joined(ShopSettings(data_dir=settings.data_dir))

    assert found.database_url == stack.database_url
    assert found.bank_url == stack.address_of("bank")


async def test_a_stack_that_ended_is_not_found(settings: ShopSettings) -> None:
    async with partial(settings):
        assert running_stack(settings.data_dir)

    assert running_stack(settings.data_dir) is None
    assert joined(ShopSettings(data_dir=settings.data_dir)).bank_url is None


async def test_a_part_that_ends_on_its_own_is_noticed_and_named(stack: Stack) -> None:
    watching = asyncio.create_task(stack.watch())

    await stack.simulators["bank"].kill()

    with pytest.raises(ComponentEnded, match="bank ended unexpectedly"):
        await asyncio.wait_for(watching, timeout=10)


async def test_a_simulator_comes_back_where_it_was(stack: Stack) -> None:
    await stack.simulators["bank"].kill()

    await stack.simulators["bank"].start()

    async with httpx.AsyncClient() as http:
        assert (await http.get(stack.address_of("bank"))).status_code < 500


async def test_a_failed_start_stops_what_was_started_and_shows_why(
    tmp_path: Path, postgres: EmbeddedPostgres
) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    stack = partial(ShopSettings(data_dir=tmp_path, database_url=nowhere, api_port=0))

    with pytest.raises(FailedToStart, match="migrations failed"):
        await stack.__aenter__()

    assert stack.temporal is None or not stack.temporal.running
    assert running_stack(tmp_path) is None


UP = """
from pathlib import Path
from handrail.cli import main as cli
from handrail.dev import stack

Stack = stack.Stack

def progress(component, state):
    Path(component).with_suffix("." + state).touch()

stack.Stack = lambda app, settings, **_: Stack(
    app, settings, workers=0, projectors=0, api=False, progress=progress
)
cli.run_and_leave(lambda: cli.app(["up"]))
"""


@pytest.mark.parametrize("moment", ["postgres.starting", "postgres.ready", "bank.ready"])
async def test_ctrl_c_stops_everything_at_any_moment(
    moment: str, tmp_path: Path, python: Spawn, appears: Callable[[Path], Awaitable[None]]
) -> None:
    process = await python("-c", UP)
    await appears(tmp_path / moment)
    family = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGINT)
    _, error = await process.communicate()

    assert process.returncode == 0, error.decode()
    assert b"Traceback" not in error
    assert not [each for each in family if each.is_running()]


async def test_an_api_port_that_is_taken_is_said_before_anything_starts(
    tmp_path: Path, postgres: EmbeddedPostgres
) -> None:
    stack = Stack(HANDRAIL, ShopSettings(data_dir=tmp_path, api_port=postgres.port))

    with pytest.raises(FailedToStart, match="HANDRAIL_API_PORT"):
        await stack.__aenter__()

    assert stack.postgres is None
