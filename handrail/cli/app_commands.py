"""The commands that an app brings along: its own, and one for each of its simulators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from handrail.cli.command_runner import Process, run_service
from handrail.settings import Settings
from handrail.simulators.simulator import Simulator

if TYPE_CHECKING:
    from handrail.app import App

Host = Annotated[str, Parameter(help="The interface to listen on.")]
ListenPort = Annotated[int, Parameter(help="The port to listen on. 0: one that is free.")]
Ledger = Annotated[
    Path | None, Parameter(help="The file that remembers. Without one, a restart forgets.")
]


def add_commands(cli: cyclopts.App, app: App) -> None:
    """Those of the app come beside the library's; options for the tenant have the app's word."""
    name_tenant_options(cli, app.tenant)
    for command in app.operator_commands:
        cli.command(command.at, name=command.name, help=command.help)
    for simulator in app.simulators:
        cli.command(_simulation(simulator), name=simulator.name, help=simulator.purpose)


def name_tenant_options(cli: cyclopts.App, tenant: str) -> None:
    """Options for the tenant, here and in all commands below, get the app's word: `--team`."""
    cli.default_parameter = Parameter(name_transform=partial(_option, tenant))


def _option(tenant: str, name: str) -> str:
    return tenant if name == "tenant" else cyclopts.default_name_transform(name)


def _simulation(simulator: Simulator) -> Callable[..., int]:
    def run(*, host: Host = "127.0.0.1", port: ListenPort = 0, ledger: Ledger = None) -> int:
        return run_service(simulator.name, _serving(simulator, host, port, ledger))

    run.__name__ = simulator.name
    return run


def _serving(simulator: Simulator, host: str, port: int, ledger: Path | None) -> Process:
    async def run(settings: Settings, stop: asyncio.Event) -> None:
        from handrail.processes.asgi_server import serve  # noqa: PLC0415  # it loads uvicorn

        if ledger:
            ledger.parent.mkdir(parents=True, exist_ok=True)
        made = simulator.create(ledger, simulator.target(settings))
        await serve(made, settings, host, port, stop)

    return run
