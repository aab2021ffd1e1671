"""`handrail payouts`: when merchants are paid, and how a run of payouts stands."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, cast

from cyclopts import App, Parameter
from rich.console import Console
from temporalio.client import Client
from temporalio.service import RPCError

from handrail.cli.api_client import Api, login_name
from handrail.cli.bulk import Result
from handrail.cli.options import Json
from handrail.cli.saga_tables import money
from handrail.cli.sagas import Why, run_with_api
from handrail.dev.lock import joined
from handrail.settings import load, require
from handrail.temporal.connection import connect
from handrail.terminal_tables import terminal
from runtime import payout_schedule
from runtime.app import HANDRAIL
from runtime.options import options_of
from runtime.settings import ShopSettings

payouts = App(name="payouts", help="Pay merchants what they are owed, every day or now.")

RunId = Annotated[str | None, Parameter(help="The run. Without one: the schedule.")]
Minimum = Annotated[
    int, Parameter(help="In minor units of each merchant's currency: who is owed less waits.")
]
NO_SCHEDULE: Final = "there is no schedule: make one with `handrail payouts schedule`"
_SECONDS: Final = 15.0
_COUNTS: Final = (
    "found",
    "paid",
    "refused",
    "taken_back",
    "parked",
    "failed",
    "before",
    "remaining",
)


@payouts.command
def schedule(
    *,
    cron: Annotated[str, Parameter(help="When a run begins, in UTC.")] = "0 3 * * *",
    minimum: Minimum = 1,
) -> int:
    """Begin a run at these times from now on, with the settings of this process."""

    async def work(client: Client, settings: ShopSettings) -> int:
        await payout_schedule.put(client, options_of(settings), cron=cron, minimum=minimum)
        return await _show_schedule(client, settings)

    return _at_temporal(work)


@payouts.command
def run(*, minimum: Minimum = 1, json: Json = False) -> int:
    """Begin the run of today, where it has not begun."""

    def work(api: Api, console: Console) -> Result:
        answer = api.post("/payouts", {"minimum": minimum})
        console.print(f"run {answer['run']}: see `handrail payouts status {answer['run']}`")
        return 0, answer

    return run_with_api(work, json=json)


@payouts.command
def pause(run: RunId = None, *, why: Why, json: Json = False) -> int:
    """Begin no more payouts of a run or, without one, no more runs."""
    return _steer("pause", payout_schedule.pause, run, why, json=json)


@payouts.command
def resume(run: RunId = None, *, why: Why, json: Json = False) -> int:
    """Go on with a run or, without one, with the schedule."""
    return _steer("resume", payout_schedule.resume, run, why, json=json)


@payouts.command
def status(run: RunId = None, *, json: Json = False) -> int:
    """Show how a run stands or, without one, the schedule and its last runs."""
    if run is None:
        return _at_temporal(_show_schedule)

    def work(api: Api, console: Console) -> Result:
        answer = api.get(f"/payouts/{run}")
        paid = ", ".join(map(money, answer["amounts"])) or "nothing"
        console.print(f"run {run} is {answer['status']}, paid {paid}")
        for name in _COUNTS:
            console.print(f"  {name.replace('_', ' '):<12} {answer[name]}")
        if by := answer["paused"]:
            console.print(f"  paused by {by['actor']}: {by['reason']}", markup=False)
        return 0, answer

    return run_with_api(work, json=json)


def _steer(
    word: str,
    at_schedule: Callable[[Client, str, str], Awaitable[bool]],
    run: str | None,
    why: Why,
    *,
    json: bool,
) -> int:
    def of_run(api: Api, console: Console) -> Result:
        answer = api.post(f"/payouts/{run}/{word}", why.said())
        console.print(f"run {run}: {word} accepted")
        return 0, answer

    async def of_schedule(client: Client, settings: ShopSettings) -> int:
        note = f"{why.actor or login_name()}: {why.reason}"
        if not await at_schedule(client, settings.task_queue_prefix, note):
            return _no(NO_SCHEDULE)
        return await _show_schedule(client, settings)

    return _at_temporal(of_schedule) if run is None else run_with_api(of_run, json=json)


async def _show_schedule(client: Client, settings: ShopSettings) -> int:
    found = await payout_schedule.stands(client, settings.task_queue_prefix)
    if found is None:
        return _no(NO_SCHEDULE)
    console = terminal()
    note = f" ({found.note})" if found.note else ""
    console.print(f"the schedule is {'paused' if found.paused else 'running'}{note}", markup=False)
    console.print("next:", ", ".join(f"{at:%Y-%m-%d %H:%M}" for at in found.next_at))
    console.print("last runs:", ", ".join(found.runs) or "none")
    return 0


def _at_temporal(work: Callable[[Client, ShopSettings], Awaitable[int]]) -> int:
    """0 where it was done, 1 where Temporal said no, or does not answer."""
    settings = cast("ShopSettings", joined(load(HANDRAIL.settings_type)))
    require(settings, "temporal_address")

    async def connected() -> int:
        address = cast("str", settings.temporal_address)
        try:
            async with asyncio.timeout(_SECONDS):
                client = await connect(settings, HANDRAIL.codec)
                return await work(client, settings)
        except RPCError as error:
            return _no(f"Temporal says no: {error.message}")
        except (TimeoutError, RuntimeError):
            return _no(f"Temporal does not answer at {address}")

    return asyncio.run(connected())


def _no(answer: str) -> int:
    print(answer, file=sys.stderr)
    return 1
