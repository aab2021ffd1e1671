"""The console script `handrail`. Every command is one process, and ends through `exiting`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
from cyclopts import App, Parameter

from handrail import logs
from handrail.cli.command_runner import Process, database_errand
from handrail.cli.command_runner import errand as _errand
from handrail.cli.command_runner import process as _process
from handrail.cli.options import Json
from handrail.dev.stack import Stack, State, joined
from handrail.eventstore.identity import Refused
from handrail.load_app import the_app
from handrail.optional_deps import require_extra
from handrail.process_exit import run_and_leave
from handrail.settings import Settings, load, require, settings_table

# The modules behind the commands are imported inside them: a process loads only what it runs.
# ruff: noqa: PLC0415

app = App(
    name="handrail",
    help="Business processes that cross domains and can always be taken back.",
    version=lambda: version("handrail"),
    result_action="return_value",
)
_log = structlog.get_logger("handrail")

Host = Annotated[str, Parameter(help="The interface to listen on.")]
ListenPort = Annotated[int, Parameter(help="The port to listen on. 0: one that is free.")]
Broker = Annotated[
    bool, Parameter(negative="", help="Start a RabbitMQ, too, where the settings name none.")
]
Ledger = Annotated[
    Path | None, Parameter(help="The file that remembers. Without one, a restart forgets.")
]


@app.command
def demo(
    *,
    orders: Annotated[int, Parameter(help="How many checkouts to drive.")] = 60,
    merchants: Annotated[int, Parameter(help="How many merchants sell.")] = 8,
    faults: Annotated[
        float, Parameter(help="The share of questions to bank and carrier that go wrong.")
    ] = 0.1,
    seed: Annotated[int, Parameter(help="The same seed makes the same orders and faults.")] = 1,
    broker: Broker = False,
    json: Json = False,
) -> int:
    """Start everything, drive checkouts through HTTP, prove the invariants, stop everything."""
    from runtime.demo.run import demo as run

    async def work(settings: Settings) -> int:
        return await run(
            settings,
            orders=orders,
            merchants=merchants,
            faults=faults,
            seed=seed,
            broker=broker,
            json=json,
        )

    return _errand(load(), "demo", work)


@app.command
def bench(
    name: Annotated[
        Literal[
            "saga",
            "decision",
            "orders",
            "append",
            "growth",
            "feed",
            "rebuild",
            "hot",
            "fairness",
            "relay",
            "soak",
            "all",
        ],
        Parameter(help="Which one. all: one after the other."),
    ],
    *,
    json: Json = False,
) -> int:
    """Start everything, measure, stop everything. The exit code says whether the goal was met."""
    require_extra("bench", "dbos", "eventsourcing")
    if name in {"relay", "all"}:
        require_extra("broker", "aio_pika", "cloudevents")
    benchmark = import_module(f"benchmarks.{name}")

    async def work(settings: Settings) -> int:
        return int(await benchmark.run(settings, json=json))

    return _errand(load(), "bench", work)


@app.command
def verify(
    *,
    feed: Annotated[
        bool, Parameter(negative="", help="Look at the store, the feed and its followers, too.")
    ] = False,
    json: Json = False,
) -> int:
    """Prove the invariants over the database that the settings, or the running stack, name."""
    from runtime.verify.prove import Unreachable
    from runtime.verify.prove import verify as run

    settings = joined(load())
    require(settings, "database_url")

    async def work(settings: Settings) -> int:
        try:
            return await run(settings, json=json, feed=feed)
        except Unreachable as away:
            print(away, file=sys.stderr)
            return 1

    return _errand(settings, "verify", work)


@app.command
def up(
    *,
    workers: Annotated[int, Parameter(help="How many worker processes to start.")] = 1,
    projectors: Annotated[int, Parameter(help="How many projector processes to start.")] = 1,
    notifiers: Annotated[int, Parameter(help="How many notifier processes to start.")] = 1,
    broker: Broker = False,
) -> int:
    """Start everything and keep it up until Ctrl-C."""

    async def work(settings: Settings) -> int:
        stack = Stack(
            settings,
            workers=workers,
            projectors=projectors,
            notifiers=notifiers,
            consumers=True,
            broker=broker,
            progress=_show,
        )
        async with stack:
            _say(
                "",
                f"API           {stack.api_url}",
                f"API docs      {stack.api_url}/docs",
                f"Temporal UI   {stack.temporal_ui_url or 'not known: HANDRAIL_TEMPORAL_UI_URL'}",
                *([f"RabbitMQ      {stack.rabbitmq.pages}"] if stack.rabbitmq else []),
                f"logs          {stack.data_dir / 'logs'}",
                "",
                "Ctrl-C stops everything.",
            )
            await stack.watch()
        return 0

    return _errand(load(), "up", work, interrupted=0)


@app.command
def worker() -> int:
    """Run workflows and activities."""
    from runtime.worker import run

    companies = ("bank_url", "carrier_url", "registry_url")
    return _process("worker", run, "database_url", "temporal_address", *companies)


@app.command
def projector() -> int:
    """Keep the read models up to date."""
    from handrail.processes.projector import run

    return _process("projector", run, "database_url")


@app.command
def notifier() -> int:
    """Send messages to customers."""
    from handrail.processes.notifier import run

    return _process("notifier", run, "database_url", "provider_url")


app.command(
    "handrail.cli.relay:relay",
    name="relay",
    help="Publish the events at the broker, and look after those it would not take.",
)


@app.command
def consumer(
    name: Annotated[str, Parameter(help="Which one: see `handrail consumers list`.")],
    *,
    catch_up: Annotated[
        bool, Parameter(negative="", help="Take from the store what it does not have, and end.")
    ] = False,
) -> int:
    """Give a consumer its events: from its queue or, without a broker, from the store."""
    from handrail.processes.consumer import catch_up as run_until_caught_up
    from handrail.processes.consumer import known, run

    found = known(name)

    async def work(settings: Settings, stop: asyncio.Event) -> None:
        await run(settings, found, stop)

    if catch_up:
        return database_errand("consumer", lambda settings: run_until_caught_up(settings, found))
    return _process(f"consumer-{name}", work, "database_url")


app.command(
    "handrail.cli.topology:topology",
    name="topology",
    help="What there is at the broker, and who may do what.",
)


app.command(
    "handrail.cli.consumers:consumers",
    name="consumers",
    help="Look at what waits at consumers, and have it handled or discarded.",
)


@app.command
def api() -> int:
    """Serve the HTTP API."""
    from handrail.processes.api import run

    return _process("api", partial(run, the_app()), "database_url", "temporal_address")


@app.command
def bank(*, host: Host = "127.0.0.1", port: ListenPort = 0, ledger: Ledger = None) -> int:
    """Simulate the bank."""
    from handrail.simulators.webhook_sender import target_of
    from runtime.simulators.bank import create_bank

    def create(settings: Settings) -> Any:
        return create_bank(ledger, target_of(settings, "bank"))

    return _process("bank", _simulator(create, host, port, ledger))


@app.command
def carrier(*, host: Host = "127.0.0.1", port: ListenPort = 0, ledger: Ledger = None) -> int:
    """Simulate the carrier."""
    from handrail.simulators.webhook_sender import target_of
    from runtime.simulators.carrier import create_carrier

    def create(settings: Settings) -> Any:
        return create_carrier(ledger, target_of(settings, "carrier"))

    return _process("carrier", _simulator(create, host, port, ledger))


@app.command
def registry(*, host: Host = "127.0.0.1", port: ListenPort = 0, ledger: Ledger = None) -> int:
    """Simulate the registry of businesses."""
    from runtime.simulators.registry import create_registry

    def create(_: Settings) -> Any:
        return create_registry(ledger)

    return _process("registry", _simulator(create, host, port, ledger))


@app.command
def provider(*, host: Host = "127.0.0.1", port: ListenPort = 0, ledger: Ledger = None) -> int:
    """Simulate the provider of push, SMS and e-mail."""
    from runtime.simulators.provider import create_provider

    def create(_: Settings) -> Any:
        return create_provider(ledger)

    return _process("provider", _simulator(create, host, port, ledger))


@app.command
def migrate() -> int:
    """Bring the database to the newest schema."""
    from handrail.migrate import migrate as run

    settings = joined(load())
    if settings.owner_url is None:
        require(settings, "database_url")
    logs.configure(settings, "migrate")
    try:
        run(str(settings.owner_url), settings.database_role, settings.new_timeline)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    _log.info("migrated")
    return 0


app.command(
    "handrail.cli.restore:restore",
    name="restore",
    help="A server that was lost, promoted or restored from a backup.",
)


app.command(
    "handrail.cli.projections:projections",
    name="projections",
    help="Look after the read models.",
)


app.command(
    "handrail.cli.lake:lake",
    name="lake",
    help="The data lake: the same events, to be asked anything.",
)


app.command(
    "handrail.cli.sagas:sagas",
    name="sagas",
    help="Look at sagas, and put right those that wait for a person.",
)


app.command(
    "runtime.payouts_cli:payouts",
    name="payouts",
    help="Pay merchants what they are owed, every day or now.",
)


@app.command
def contracts(
    *,
    write: Annotated[bool, Parameter(negative="", help="Write the files anew.")] = False,
    folder: Annotated[Path, Parameter(help="Where they are.")] = Path("docs/contracts"),
) -> int:
    """Compare what is promised of events with the schemas and the AsyncAPI document in files."""
    from handrail.cli import contracts as run

    return run.write(folder) if write else run.check(folder)


app.command(
    "handrail.cli.notifications:notifications",
    name="notifications",
    help="Look after the messages to customers.",
)


app.command(
    "handrail.cli.notifications:campaign",
    name="campaign",
    help="Write to many customers at once, behind all else.",
)


@app.command(name="settings")
def print_settings() -> int:
    """Print every setting, as Markdown."""
    _say(settings_table())
    return 0


def _simulator(
    create: Callable[[Settings], Any], host: str, port: int, ledger: Path | None
) -> Process:
    async def run(settings: Settings, stop: asyncio.Event) -> None:
        from handrail.processes.asgi_server import serve

        if ledger:
            ledger.parent.mkdir(parents=True, exist_ok=True)
        await serve(create(settings), settings, host, port, stop)

    return run


def _show(component: str, state: State) -> None:
    if state != "starting":
        _say(f"{component:<13} {state}")


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def main() -> None:
    run_and_leave(app)


if __name__ == "__main__":
    main()
