"""`handrail notifications` and `handrail campaign`: messages to recipients, from inside."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from handrail import bounds
from handrail.cli import notification_commands
from handrail.cli.api_client import login_name
from handrail.cli.bounded_options import within
from handrail.cli.command_runner import run_database_job
from handrail.cli.notification_commands import BadTemplate
from handrail.cli.operator_act import OperatorAct
from handrail.cli.options import Json, Wide
from handrail.cli.sealed_reason import sealed
from handrail.kernel import Attribution
from handrail.load_app import the_app
from handrail.notifications.operations import StuckFilter
from handrail.refused_settings import BAD_SETTINGS
from handrail.settings import Settings

notifications = App(name="notifications", help="Look after the messages to recipients.")
campaign = App(name="campaign", help="Write to many recipients at once, behind all else.")

Reason = Annotated[
    str,
    Parameter(help="Why: it is stored with what it changes.", validator=within(bounds.REASON)),
]
Actor = Annotated[
    str | None,
    Parameter(help="Who. Without: the login name.", validator=within(bounds.ACTOR)),
]
Source = Annotated[
    str | None,
    Parameter(
        help="What the message is about, as it is shown. Without: all of them.",
        validator=within(bounds.SOURCE),
    ),
]


@notifications.command
def parked(*, wide: Wide = False, json: Json = False) -> int:
    """How many messages wait, and which ones could not be sent. 1 where there are such."""
    recipient = the_app().messages.recipient

    def work(settings: Settings) -> Coroutine[Any, Any, int]:
        return notification_commands.show(settings, recipient, json=json, wide=wide)

    return run_database_job("notifications", work)


@notifications.command
def retry(source: Source = None, *, reason: Reason, actor: Actor = None) -> int:
    """Send what could not be sent, once the cause is mended."""
    by, which = _by(actor, reason), StuckFilter(source)

    async def work(settings: Settings) -> int:
        return await notification_commands.retry(settings, await sealed(by), which)

    return run_database_job(
        "notifications",
        work,
        act=OperatorAct("notifications retry", source or "all", actor, reason),
    )


@notifications.command
def discard(source: Source = None, *, reason: Reason, actor: Actor = None) -> int:
    """Never send what could not be sent."""
    by, which = _by(actor, reason), StuckFilter(source)

    async def work(settings: Settings) -> int:
        return await notification_commands.discard(settings, await sealed(by), which)

    return run_database_job(
        "notifications",
        work,
        act=OperatorAct("notifications discard", source or "all", actor, reason),
    )


@campaign.default
def start(
    name: Annotated[str, Parameter(help="Under the same name nobody is written to twice.")],
    *,
    template: Annotated[Path, Parameter(help="TOML: channel, and subject and body by language.")],
    to: Annotated[str, Parameter(help="`all`, or a file with one recipient a line.")],
    rate: Annotated[
        float | None, Parameter(help="Messages a second. Without: as fast as the provider.")
    ] = None,
    json: Json = False,
) -> int:
    """Put a campaign into the queue. Stopped half way, the same command goes on from there."""
    try:
        read = notification_commands.read_campaign(name, template, rate)
        recipients = None if to == "all" else notification_commands.read_recipients(Path(to))
    except BadTemplate as bad:
        print(bad, file=sys.stderr)
        return BAD_SETTINGS

    async def work(settings: Settings) -> int:
        return await notification_commands.campaign(
            settings, read, login_name(), recipients, json=json
        )

    return run_database_job("campaign", work, act=OperatorAct("campaign", name))


@campaign.command
def stop(
    name: Annotated[str, Parameter(validator=within(bounds.ID))],
    *,
    reason: Reason,
    actor: Actor = None,
) -> int:
    """Discard what waits of a campaign, and put in nobody else."""
    by = _by(actor, reason)

    async def work(settings: Settings) -> int:
        return await notification_commands.stop(settings, await sealed(by), name)

    return run_database_job(
        "campaign",
        work,
        act=OperatorAct("campaign stop", name, actor, reason),
    )


def _by(actor: str | None, reason: str) -> Attribution:
    return Attribution(actor or login_name(), reason)
