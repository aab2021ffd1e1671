"""`handrail topology`: what there is at the broker, from the code that declares it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

from cyclopts import App, Parameter

from handrail import bounds
from handrail.cli import topology_commands as run
from handrail.cli.api_client import login_name
from handrail.cli.bounded_options import within
from handrail.cli.command_runner import run_database_job, run_job
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Wide
from handrail.cli.sagas import USAGE, Why
from handrail.cli.sealed_reason import sealed
from handrail.dev.lock import joined
from handrail.kernel import Attribution
from handrail.load_app import load_settings
from handrail.messaging.broker.dead_message import DeadQueue
from handrail.optional_deps import require_extra
from handrail.refused_settings import require
from handrail.settings import Settings

# What works with messages needs the extra, and is imported once it is there.
# ruff: noqa: PLC0415

Host = Annotated[str, Parameter(help="The virtual host.", validator=within(bounds.NAME))]
Queue = Annotated[DeadQueue, Parameter(help="Its queue: dead, or unrouted.")]
Message = Annotated[str, Parameter(help="As `messages` shows it.", validator=within(bounds.ID))]

topology = App(name="topology", help="What there is at the broker, and who may do what.")


@topology.command
def apply(
    *,
    prune: Annotated[
        bool, Parameter(negative="", help="Delete what is there and should not be.")
    ] = False,
) -> int:
    """Make and change at the broker what is not as declared, and see that events come."""
    act = OperatorAct("topology apply", "--prune" if prune else "")
    return _at_the_broker(lambda settings: run.apply(settings, prune=prune), act)


@topology.command
def diff(*, json: Json = False) -> int:
    """What is missing, different or unknown at the broker. The exit code is 1 if something is."""
    return _at_the_broker(lambda settings: run.diff(settings, json=json))


@topology.command
def status(*, wide: Wide = False, json: Json = False) -> int:
    """How events come from one virtual host to the next. The exit code is 1 where they do not, or
    where messages wait for a person.
    """
    return _at_the_broker(lambda settings: run.status(settings, json=json, wide=wide))


@topology.command
def export() -> int:
    """Print the definitions that a fresh broker imports when it begins. They are a secret."""
    settings = joined(load_settings())
    require(settings, *run.NEEDS)
    return run.export(settings)


@topology.command
def messages(vhost: Host, queue: Queue, /, *, wide: Wide = False, json: Json = False) -> int:
    """What lies in a queue of dead or unrouted messages, at most 200 of it.

    To look takes nothing away. The exit code is 1 where there is something.
    """
    from handrail.cli.dead_message_commands import show

    return _with_messages(lambda settings: show(settings, vhost, queue, wide=wide, json=json))


@topology.command
def redrive(
    vhost: Host,
    queue: Queue,
    /,
    *ids: Annotated[str, Parameter(validator=within(bounds.ID))],
    why: Why,
    all: Annotated[  # noqa: A002  # as on the command line
        bool, Parameter(negative="", help="All that are there, at most 1,000.")
    ] = False,
    json: Json = False,
) -> int:
    """Put messages into the queues that they were for; the originals are kept for a year."""
    from handrail.cli.dead_message_commands import redrive as run_redrive

    if all == bool(ids):
        print("give messages, or --all", file=sys.stderr)
        return USAGE
    target = f"{vhost}/{queue} {' '.join(ids) or 'all'}"

    async def work(settings: Settings) -> int:
        by = await sealed(_by(why))
        return await run_redrive(settings, vhost, queue, by, ids=ids, json=json)

    return _with_messages(
        work,
        OperatorAct("topology redrive", target, why.actor, why.reason),
    )


@topology.command
def edit(
    vhost: Host,
    queue: Queue,
    message: Message,
    /,
    *,
    body: Annotated[str, Parameter(help="The file with the new body, JSON; - is the input.")],
    why: Why,
    json: Json = False,
) -> int:
    """Redrive a message with another body; its id, its headers and the original stay."""
    from handrail.cli.dead_message_commands import body_in
    from handrail.cli.dead_message_commands import edit as run_edit

    try:
        new = body_in(body)
    except OSError as error:
        print(f"{body}: {error.strerror}", file=sys.stderr)
        return USAGE

    async def work(settings: Settings) -> int:
        by = await sealed(_by(why))
        return await run_edit(settings, vhost, queue, by, id_=message, body=new, json=json)

    return _with_messages(
        work,
        OperatorAct("topology edit", f"{vhost}/{queue} {message}", why.actor, why.reason),
    )


@topology.command
def discard(vhost: Host, queue: Queue, message: Message, /, *, why: Why, json: Json = False) -> int:
    """Take a message away without handling it; what it was is kept for a year."""
    from handrail.cli.dead_message_commands import discard as run_discard

    async def work(settings: Settings) -> int:
        by = await sealed(_by(why))
        return await run_discard(settings, vhost, queue, by, ids=[message], json=json)

    return _with_messages(
        work,
        OperatorAct("topology discard", f"{vhost}/{queue} {message}", why.actor, why.reason),
    )


def _by(why: Why) -> Attribution:
    return Attribution(why.actor or login_name(), why.reason)


def _with_messages(
    work: Callable[[Settings], Awaitable[int]], act: OperatorAct | None = None
) -> int:
    """At the broker as its administrator, and in the database: originals are kept there."""
    require(joined(load_settings()), "broker_url", "broker_management_url")
    require_extra("broker", "aio_pika")
    return run_database_job("topology", work, act=act)


def _at_the_broker(
    work: Callable[[Settings], Awaitable[int]], act: OperatorAct | None = None
) -> int:
    settings = joined(load_settings())
    require(settings, *run.NEEDS)
    if act is not None and settings.database_url is None:  # where a deployment does it by itself
        print("not stored in the audit: HANDRAIL_DATABASE_URL is not set", file=sys.stderr)
        act = None
    return run_job(settings, "topology", work, act=act)
