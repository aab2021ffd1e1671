"""What operators do with messages to recipients: see how they stand, retry, discard, campaign."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, cast

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from handrail import bounds
from handrail.connections import store_pool
from handrail.counted import counted
from handrail.http.schemas import Id, text
from handrail.kernel import Attribution
from handrail.notifications import campaigns, operations
from handrail.notifications.campaigns import Campaign, CampaignDiffers
from handrail.notifications.contacts import LANGUAGES, Channel
from handrail.notifications.operations import StuckFilter
from handrail.settings import Settings
from handrail.terminal_tables import Column, Table, terminal

_PHONE: Final = 160
"""Characters of an SMS; what is pushed is cut off not far behind."""


_FASTEST: Final = 1_000_000
"""Messages a second."""


class BadTemplate(Exception):
    """A file of a campaign that cannot be used; the message says where and why."""


async def show(settings: Settings, recipient: str, *, json: bool, wide: bool = False) -> int:
    """0 where nothing is stuck, 1 where something waits for a person.

    `recipient` is what JSON calls whom a message is for.
    """
    async with store_pool(settings, size=1, name="handrail-notifications") as pool:  # noqa: SIM117
        async with pool.connection() as connection:
            lanes = await operations.standing(connection)
            stuck = await operations.stuck(connection)
    console = terminal(json=json, wide=wide)
    table_of(lanes).print(console)
    for one in stuck:
        console.print(
            f"{one.source} by {one.channel} to {one.recipient}: {one.state} after {one.attempts}"
            f" tries since {one.settled_at:%F %T}: {one.reason}",
            markup=False,
        )
    if stuck:
        console.print("once that is mended: handrail notifications retry --reason …")
    if json:
        called = [
            {recipient if name == "recipient" else name: value for name, value in vars(one).items()}
            for one in stuck
        ]
        said = {"lanes": [asdict(lane) for lane in lanes], "stuck": called}
        print(orjson.dumps(said).decode())
    return 1 if stuck else 0


def table_of(lanes: Sequence[operations.Standing]) -> Table:
    table = Table(
        (
            Column("lane"),
            *(Column(name, right=True) for name in ("waiting", "overdue for", "parked", "failed")),
        )
    )
    for lane in lanes:
        cells = (lane.waiting, f"{lane.seconds:.0f} s", lane.parked, lane.failed)
        table.add(lane.lane, *map(str, cells))
    return table


async def retry(settings: Settings, by: Attribution, which: StuckFilter) -> int:
    return await _change(settings, which, by, discard=False)


async def discard(settings: Settings, by: Attribution, which: StuckFilter) -> int:
    return await _change(settings, which, by, discard=True)


async def _change(settings: Settings, which: StuckFilter, by: Attribution, *, discard: bool) -> int:
    async with store_pool(settings, size=1, name="handrail-notifications") as pool:  # noqa: SIM117
        async with pool.connection() as connection:
            change = operations.discard if discard else operations.retry
            changed = await change(connection, by, which)
    verb = "discarded" if discard else "will be tried again"
    terminal(json=True).print(f"{counted(changed, 'message')} {verb}")
    return 0 if changed or which.source is None else 1


async def stop(settings: Settings, by: Attribution, name: str) -> int:
    async with store_pool(settings, size=1, name="handrail-notifications") as pool:  # noqa: SIM117
        async with pool.connection() as connection:
            stopped = await operations.stop_campaign(connection, by, name)
    terminal(json=True).print(f"campaign {name} is stopped; {stopped} messages were discarded")
    return 0


async def campaign(
    settings: Settings, campaign: Campaign, by: str, recipients: list[str] | None, *, json: bool
) -> int:
    """0 once everybody is in the queue. Ended earlier, the same command goes on from there."""
    console = terminal(json=True)
    columns = (TextColumn(campaign.name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with store_pool(settings, size=1, name="handrail-notifications") as pool:  # noqa: SIM117
        async with pool.connection() as connection:
            try:
                progress = await campaigns.begin(connection, campaign, by, recipients)
            except CampaignDiffers as differs:
                console.print(str(differs), markup=False)
                return 1
            with Progress(*columns, console=console) as bars:
                bar = bars.add_task("", total=progress.total, completed=progress.considered)
                async for progress in campaigns.enqueue(connection, campaign.name):
                    bars.update(bar, completed=progress.considered)
    console.print(
        f"{progress.enqueued} messages are in the queue;"
        f" {progress.considered - progress.enqueued} recipients have no address or did not ask"
    )
    if json:
        print(orjson.dumps({"campaign": campaign.name, **asdict(progress)}).decode())
    return 0


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: Annotated[str, text(bounds.SUBJECT)]
    body: Annotated[str, text(bounds.BODY)]


class _Template(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: Channel
    en: _Text
    de: _Text


class _Named(BaseModel):
    name: Id


def read_campaign(name: str, template: Path, rate: float | None) -> Campaign:
    """Raises BadTemplate, which says what is wrong with the file or the name."""
    if rate is not None and not 0 < rate <= _FASTEST:
        raise BadTemplate(f"--rate: must be above 0, and at most {_FASTEST}")
    try:
        _Named(name=name)
        read = _Template.model_validate(tomllib.loads(template.read_text()))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadTemplate(f"{template}: {error}") from None
    except ValidationError as error:
        raise BadTemplate("; ".join(_said(problem) for problem in error.errors())) from None
    texts = {language: cast("_Text", getattr(read, language)) for language in LANGUAGES}
    for language, worded in texts.items():
        if read.channel != "email" and len(worded.body) > _PHONE:
            raise BadTemplate(f"{language}.body: {read.channel} takes {_PHONE} characters")
    return Campaign(
        name=name,
        channel=read.channel,
        texts={language: worded.model_dump() for language, worded in texts.items()},
        rate=rate,
    )


def read_recipients(file: Path) -> list[str]:
    """One recipient a line. Raises BadTemplate where the file cannot be read or names nobody."""
    try:
        with file.open() as lines:
            recipients = list(_recipients(lines))
    except (OSError, UnicodeDecodeError) as error:
        raise BadTemplate(f"{file}: {error}") from None
    if not recipients:
        raise BadTemplate(f"{file}: there is no recipient in it")
    return recipients


def _recipients(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not (recipient := line.strip()):
            continue
        if said := bounds.ID.wrong_with(recipient):
            raise BadTemplate(f"line {number}: {said}")
        yield recipient


def _said(problem: Any) -> str:
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"


def _database(settings: Settings) -> str:
    return cast("str", settings.database_url)
