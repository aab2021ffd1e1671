"""Who knows which secret while everything runs, and what it all leaves on the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import cast

import httpx
import orjson
import psutil
import pytest
from rich.console import Console

from handrail.dev.rabbitmq import is_installed
from handrail.dev.stack import Stack
from handrail.dev.supervisor import Service
from handrail.refused_settings import variable
from handrail.secret_files import secrets_of
from handrail.temporal.payload_keys import begin_ring, read_ring
from handrail.webhook_signatures import new_secret
from runtime.app import HANDRAIL
from runtime.demo import scenario
from runtime.demo.customers import drive
from runtime.settings import ShopSettings

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(not is_installed(), reason="NOT TESTED: rabbitmq-server is not installed"),
]
CARD = "card_ok"
HOLD_SECRETS = {"password", "passwords.json", "rabbitmq.conf", "stack.lock", ".erlang.cookie"}
"""Files whose purpose it is, each for its owner alone."""
OF_THE_BROKER = "mnesia"
"""Where RabbitMQ keeps the logins of federation."""


class Ran:
    """What was seen of a stack that drove some orders."""

    def __init__(self) -> None:
        self.environments: dict[str, Mapping[str, str]] = {}
        self.process_list: list[str] = []
        self.metrics: list[str] = []
        self.secrets: dict[str, str] = {}
        self.folder = Path()
        self.stack: Stack


async def _ran(folder: Path) -> Ran:
    keys = folder / "keys.json"
    begin_ring(keys)
    settings = ShopSettings(
        data_dir=folder / "var",
        api_port=0,
        metrics_port=0,
        payload_keys_file=keys,
        bank_webhook_secrets=(new_secret(),),
        carrier_webhook_secrets=(new_secret(),),
        step_deadline_seconds=6,
        step_patience_seconds=20,
    )
    ran = Ran()
    ran.folder = folder / "var"
    stack = ran.stack = Stack(
        HANDRAIL, settings, notifiers=1, consumers=True, broker=True, progress=lambda *_: None
    )
    async with stack:
        plan = scenario.make(orders=8, merchants=2, faults=0.3, seed=3)
        await drive(stack.api_url, stack.database_url, plan, Console(file=StringIO()))
        for name, component in stack._components():
            family = [psutil.Process(component.pid)]
            family += family[0].children(recursive=True)
            ran.process_list += [" ".join(one.cmdline()) for one in family]
            ran.environments[name] = family[0].environ()
        async with httpx.AsyncClient() as http:
            ran.metrics.append((await http.get(f"{stack.api_url}/metrics")).text)
        ran.secrets = _secrets(stack, keys)
    return ran


def _secrets(stack: Stack, keys: Path) -> dict[str, str]:
    """Each by a name; what stands in the files of the stack, and what it was given."""
    settings = cast("ShopSettings", stack.settings)
    assert stack.postgres
    assert stack.rabbitmq
    return {
        "postgres": (stack.postgres.data_dir / "password").read_text(),
        "administrator": (stack.rabbitmq.data_dir / "password").read_text(),
        **{f"broker {user}": one for user, one in settings.passwords_at_the_broker.items()},
        "bank": settings.bank_webhook_secrets[0],
        "carrier": settings.carrier_webhook_secrets[0],
        "payload key": orjson.loads(keys.read_bytes())["keys"][0]["key"],
    }


@pytest.fixture(scope="module")
async def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return await _ran(tmp_path_factory.mktemp("stack"))


def files(folder: Path) -> Iterator[Path]:
    yield from (one for one in folder.rglob("*") if not one.is_symlink())


def test_no_process_shows_a_secret_in_the_process_list(ran: Ran) -> None:
    listed = "\n".join(ran.process_list)
    assert [name for name, secret in ran.secrets.items() if secret in listed] == []


def test_each_process_has_the_secrets_that_are_declared_for_it_and_no_other(ran: Ran) -> None:
    declared = secrets_of(ShopSettings)
    services = [one for one in ran.stack._components() if isinstance(one[1], Service)]
    for name, _ in services:
        kind = name.partition("-")[0]
        given = {
            field
            for field in declared
            for ending in ("", "_FILE")
            if ran.environments[name].get(variable(field) + ending)
        }
        own = {field for field, kinds in declared.items() if kind in kinds}
        if kind in {"bank", "carrier"}:
            own = {f"{kind}_webhook_secrets"}
        assert given <= own, name


def test_a_simulated_company_knows_no_database_and_no_other_companys_secret(ran: Ran) -> None:
    for company in ("bank", "carrier", "registry", "provider"):
        known = " ".join(ran.environments[company].values())
        for name, secret in ran.secrets.items():
            assert name == company or secret not in known, (company, name)


def test_the_servers_know_no_setting_at_all(ran: Ran) -> None:
    for server in ("postgres", "temporal", "rabbitmq"):
        given = [name for name in ran.environments[server] if name.startswith("HANDRAIL_")]
        assert given == []


def test_no_metric_shows_a_secret(ran: Ran) -> None:
    assert ran.metrics
    served = "\n".join(ran.metrics)
    assert [name for name, secret in ran.secrets.items() if secret in served] == []


def test_no_log_and_no_data_of_the_stack_shows_a_secret(ran: Ran) -> None:
    looked_at = 0
    for one in files(ran.folder):
        if not one.is_file() or one.name in HOLD_SECRETS or OF_THE_BROKER in one.parts:
            continue
        content = one.read_bytes()
        looked_at += 1
        found = [name for name, secret in ran.secrets.items() if secret.encode() in content]
        assert found == [], one
    assert looked_at > 20


def test_what_temporal_keeps_shows_no_card(ran: Ran) -> None:
    kept = [one for one in (ran.folder / "temporal").iterdir() if "temporal.db" in one.name]
    assert kept
    for one in kept:
        assert CARD.encode() not in one.read_bytes(), one.name


def _others_may(path: Path) -> int:
    """A server that root starts is another user, who passes through its folder, and no more."""
    passes = path.name == "postgres" and path.is_dir() and os.geteuid() == 0
    return 0o066 if passes else 0o077


def test_every_file_and_folder_is_its_owners_alone(ran: Ran) -> None:
    open_to_others = [
        str(one.relative_to(ran.folder))
        for one in (ran.folder, *files(ran.folder))
        if stat.S_IMODE(one.stat().st_mode) & _others_may(one)
    ]
    assert open_to_others == []


def test_the_ring_of_the_stack_was_used(ran: Ran) -> None:
    """So the test of Temporal's file can fail."""
    [key] = read_ring(ran.folder.parent / "keys.json")
    kept = b"".join(
        one.read_bytes() for one in (ran.folder / "temporal").iterdir() if one.is_file()
    )
    assert key.id.encode() in kept
