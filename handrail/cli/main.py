"""The console script `handrail`. Every command is one process, and ends through `exiting`."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

import structlog
from cyclopts import App, Parameter

from handrail import logs
from handrail.cli.app_commands import add_commands
from handrail.cli.command_runner import run_database_job, run_job, run_service
from handrail.cli.options import Broker, Json, Wide
from handrail.dev.lock import joined
from handrail.load_app import BAD_APP, app_if_any, load_settings, the_app
from handrail.process_exit import run_and_leave
from handrail.refused_settings import require
from handrail.settings import Settings
from handrail.settings_table import settings_table
from handrail.wrongly_declared import WronglyDeclared

if TYPE_CHECKING:
    from handrail.dev.stack import State

# The modules behind the commands are imported inside them: a process loads only what it runs.
# ruff: noqa: PLC0415

app = App(
    name="handrail",
    help="Business processes that cross domains and can always be taken back.",
    version=lambda: version("handrail"),
    result_action="return_value",
)
_log = structlog.get_logger("handrail")


@app.command
def verify(
    *,
    feed: Annotated[
        bool, Parameter(negative="", help="Look at the store, the feed and its followers, too.")
    ] = False,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """Prove the invariants over the database that the settings, or the running stack, name."""
    from handrail.cli.verify import verify as run
    from handrail.verify.unreachable import Unreachable

    settings = joined(load_settings())
    require(settings, "database_url")

    async def work(settings: Settings) -> int:
        try:
            return await run(the_app(), settings, json=json, feed=feed, wide=wide)
        except Unreachable as away:
            print(away, file=sys.stderr)
            return 1

    return run_job(settings, "verify", work)


@app.command
def up(
    *,
    workers: Annotated[int, Parameter(help="How many worker processes to start.")] = 1,
    projectors: Annotated[int, Parameter(help="How many projector processes to start.")] = 1,
    notifiers: Annotated[
        int | None,
        Parameter(help="How many notifier processes to start. Without it: one, given a provider."),
    ] = None,
    broker: Broker = False,
) -> int:
    """Start everything and keep it up until Ctrl-C."""
    from handrail.dev.stack import Stack, has_provider

    async def work(settings: Settings) -> int:
        found = the_app()
        stack = Stack(
            found,
            settings,
            workers=workers,
            projectors=projectors,
            notifiers=has_provider(found, settings) if notifiers is None else notifiers,
            dispatchers=1 if found.tenant_events else 0,
            consumers=True,
            broker=broker,
            progress=_show,
        )
        async with stack:
            _say(
                "",
                f"console       {stack.console}",
                f"API           {stack.api_url}",
                f"API docs      {stack.api_url}/docs",
                f"sign-in       {stack.sign_in}",
                f"Temporal UI   {stack.temporal_ui_url or 'not known: HANDRAIL_TEMPORAL_UI_URL'}",
                *([f"RabbitMQ      {stack.rabbitmq.pages}"] if stack.rabbitmq else []),
                f"logs          {stack.data_dir / 'logs'}",
                "",
                "Ctrl-C stops everything.",
            )
            await stack.watch()
        return 0

    return run_job(load_settings(), "up", work, interrupted=0)


@app.command
def worker() -> int:
    """Run workflows and activities."""
    from handrail.processes.worker import run

    found = the_app()

    async def work(settings: Settings, stop: asyncio.Event) -> None:
        await run(found, settings, stop)

    needs = ("database_url", "temporal_address", *found.addresses_of("worker"))
    return run_service("worker", work, *needs)


@app.command
def projector() -> int:
    """Keep the read models up to date."""
    from handrail.processes.projector import run

    return run_service("projector", run, "database_url")


@app.command
def notifier() -> int:
    """Send messages to recipients."""
    from handrail.processes.notifier import run

    return run_service("notifier", run, "database_url", "provider_url")


@app.command
def dispatcher() -> int:
    """Send events to the webhook endpoints of tenants."""
    from handrail.processes.dispatcher import run

    return run_service("dispatcher", run, "database_url", "subject_keys_file")


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
        return run_database_job(
            "consumer",
            lambda settings: run_until_caught_up(settings, found),
            role=f"consumer:{name}",
        )
    return run_service(f"consumer-{name}", work, "database_url")


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

    return run_service("api", partial(run, the_app()), "database_url", "temporal_address")


@app.command
def codec() -> int:
    """Decrypt payloads for the Temporal UI, and log for whom."""
    from handrail.processes.codec import run

    return run_service("codec", run, "payload_keys_file", "codec_tokens")


@app.command
def migrate() -> int:
    """Bring the database to the newest schema."""
    from handrail.eventstore.grants import Dangerous
    from handrail.eventstore.identity import Refused
    from handrail.eventstore.row_security import TableBusy
    from handrail.migrate import migrate as run

    settings = joined(load_settings())
    if settings.owner_url is None:
        require(settings, "database_url")
    logs.configure(settings, "migrate")
    try:
        run(
            str(settings.owner_url),
            settings.database_role,
            settings.new_timeline,
            app=the_app(),
            prefix=settings.database_role_prefix,
        )
    except (Refused, Dangerous, TableBusy) as refused:
        print(refused, file=sys.stderr)
        return 1
    if settings.keys_database_url is not None:
        from handrail.subject_keys.key_schema import migrate_keys

        migrate_keys(settings.keys_database_url, settings.database_role)
    _log.info("migrated")
    return 0


app.command(
    "handrail.cli.database:database",
    name="database",
    help="Which process may do what in the database.",
)


app.command(
    "handrail.cli.deploy:deploy",
    name="deploy",
    help="Which version of the workers is current, and what runs on each.",
)


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
    "handrail.cli.contract_commands:contracts",
    name="contracts",
    help="What is promised of events, and which forms of them may be written.",
)


app.command(
    "handrail.cli.blame:blame",
    name="blame",
    help="Show a resource's fields, each with the event that last set it.",
)


app.command(
    "handrail.cli.events:events",
    name="events",
    help="Search events by actor, saga, type and time; show their causes.",
)


app.command(
    "handrail.cli.notifications:notifications",
    name="notifications",
    help="Look after the messages to recipients.",
)


app.command(
    "handrail.cli.notifications:campaign",
    name="campaign",
    help="Write to many recipients at once, behind all else.",
)


app.command(
    "handrail.cli.webhook_endpoints:webhook_endpoints",
    name="webhook-endpoints",
    help="Where tenants have their events sent, and what became of it.",
)


app.command(
    "handrail.cli.payload_keys:payload_keys",
    name="payload-keys",
    help="The keys that encrypt payloads at Temporal.",
)


app.command(
    "handrail.cli.new:new",
    name="new",
    help="Write a project, or a part of one.",
)


app.command(
    "handrail.cli.approve:approve",
    name="approve",
    help="Show what another person has proposed, and approve it.",
)


app.command(
    "handrail.cli.keys:keys",
    name="keys",
    help="API keys: what services and other companies sign in with.",
)


@app.command
def check() -> int:
    """Make everything that the App declares, and refuse what cannot work."""
    from handrail.cli.check import check as run

    _say(run(the_app(), load_settings()))
    return 0


@app.command(name="settings")
def print_settings() -> int:
    """Print every setting, as Markdown."""
    _say(settings_table(the_app().settings_type))
    return 0


def _show(component: str, state: State) -> None:
    if state != "starting":
        _say(f"{component:<13} {state}")


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def main() -> None:
    run_and_leave(_run)


def _run() -> object:
    """Without an App the library's own commands are there, and say that it is missing."""
    if (found := app_if_any()) is not None:
        add_commands(app, found)
    try:
        return app()
    except WronglyDeclared as wrong:  # by a part that is made when it is needed
        print(wrong, file=sys.stderr)
        return BAD_APP


if __name__ == "__main__":
    main()
