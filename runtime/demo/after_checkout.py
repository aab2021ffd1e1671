"""What follows the checkouts: parked sagas put right, a plan run through its months, a return."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from workflows import plan_collection

STEP: Final = "BookShipment"
RIGHT: Final = {"ship_to": "addr_ok"}
"""What the operator corrects: the carrier does not deliver to the address that was given."""
A_MONTH: Final = timedelta(days=32)
"""An instalment is asked for at nine of its day, and may be due 31 days after today."""
SOON: Final = 60.0  # seconds


@dataclass
class Afterwards:
    """What became of it; each part says whether it came to a good end."""

    interventions: dict[str, int] = field(default_factory=dict)
    instalments: dict[str, Any] = field(default_factory=dict)
    returns: dict[str, Any] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        told = self.interventions
        return (
            told.get("accepted") == told.get("parked")
            and not told.get("still_parked")
            and self.instalments.get("settled") is True
            and self.returns.get("completed") == 1
        )


async def afterwards(
    api_url: str, temporal: Client, sagas: Sequence[Mapping[str, Any]], console: Console
) -> Afterwards:
    """Raises TimeoutError where nothing moves any more."""
    outcome = Afterwards()
    bars = Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    async with httpx.AsyncClient(base_url=api_url, timeout=60) as client:
        with bars:
            parked = [one["saga"] for one in sagas if one["status"] == "parked"]
            outcome.interventions = await _put_right(client, parked, bars)
            bought = [one["saga"] for one in sagas if one["status"] == "completed"]
            delivered = await _delivered(client, bought, bars)
            if delivered:
                outcome.instalments = await _run_through(client, temporal, delivered[0], bars)
            if len(delivered) > 1:
                outcome.returns = await _give_back(client, delivered[1], bars)
    return outcome


async def _put_right(
    client: httpx.AsyncClient, parked: Sequence[str], bars: Progress
) -> dict[str, int]:
    """One intervention in all that wait for the same reason."""
    bar = bars.add_task("parked, put right", total=len(parked))
    asked = {
        "filter": {"step": STEP},
        "kind": "correct",
        "correction": RIGHT,
        "reason": "the customer gave another address",
        "actor": "demo",
        "per_second": 20,
    }
    seen = await _post(client, "/interventions", {**asked, "dry_run": True})
    told = {"accepted": 0, "refused": 0, "unreachable": 0}
    if seen["count"]:
        headers = {"Idempotency-Key": "demo-addresses"}
        begun = await _post(client, "/interventions", {**asked, "dry_run": False}, headers)
        path = f"/interventions/{begun['intervention']}"

        async def finished() -> bool:
            board = await _get(client, path)
            told.update({name: board[name] for name in told} if board else {})
            bars.update(bar, completed=told["accepted"])
            return bool(board) and board["state"] == "finished"

        await _until(finished, "the intervention is finished")

    async def all_end() -> bool:
        found = [await _get(client, f"/sagas/{saga}") for saga in parked]
        return all(one and one["ended_at"] for one in found)

    await _until(all_end, "what was parked has ended")
    left = await _get(client, "/sagas?status=parked&limit=200") or {"items": []}
    return {"parked": len(parked), **told, "still_parked": len(left["items"])}


async def _delivered(
    client: httpx.AsyncClient, bought: Sequence[str], bars: Progress
) -> Sequence[str]:
    """Two orders that the customers have, that with the longest plan first."""
    orders = [order for one in bought if (order := await _get(client, f"/orders/{one}"))]
    chosen = sorted(orders, key=lambda order: -order["instalments"])[:2]
    bar = bars.add_task("delivered", total=len(chosen))
    for order in chosen:

        async def arrived(path: str = f"/orders/{order['order']}") -> bool:
            found = await _get(client, path)
            return bool(found) and found["status"] == "completed"

        await _until(arrived, f"{order['order']} is delivered")
        bars.advance(bar)
    return [order["order"] for order in chosen]


async def _run_through(
    client: httpx.AsyncClient, temporal: Client, order: str, bars: Progress
) -> dict[str, Any]:
    """Its own clock is put forward month by month, until nothing is due any more."""
    path = f"/orders/{order}/plan"
    plan = await _get(client, path)
    months = len(plan["instalments"])
    bar = bars.add_task("instalments collected", total=months)
    handle = temporal.get_workflow_handle(plan_collection.workflow_id(order))
    skipper = TimeSkipper(temporal)
    paid: list[Any] = []
    for month in range(1, months + 1):
        # The last one ends the plan: then there is no clock any more.
        with suppress(RPCError):
            await skipper.fast_forward(handle, A_MONTH)

        async def collected(wanted: int = month) -> bool:
            board = await _get(client, path)
            paid[:] = [one for one in board["instalments"] if one["status"] == "collected"]
            bars.update(bar, completed=len(paid))
            return len(paid) >= wanted

        await _until(collected, f"instalment {month} of {order} is collected")
    board = await _get(client, path)
    return {
        "order": order,
        "months": months,
        "collected": len(paid),
        "settled": board["status"] == "settled" and board["outstanding"]["amount"] == 0,
    }


async def _give_back(client: httpx.AsyncClient, order: str, bars: Progress) -> dict[str, Any]:
    """All of it."""
    bar = bars.add_task("returned", total=1)
    headers = {"Idempotency-Key": f"demo-return-{order}"}
    asked = {"reason": "it does not fit"}
    begun = await _post(client, f"/orders/{order}/returns", asked, headers)

    async def ended() -> bool:
        saga = await _get(client, f"/sagas/{begun['saga']}")
        return bool(saga) and saga["status"] == "completed"

    await _until(ended, f"{begun['saga']} is completed")
    bars.advance(bar)
    amounts = {name: begun[name] for name in ("value", "absorbed", "refund")}
    return {"order": order, "asked": 1, "completed": 1, **amounts}


async def _post(
    client: httpx.AsyncClient,
    path: str,
    body: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    answer = await client.post(path, json=body, headers=headers)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


async def _get(client: httpx.AsyncClient, path: str) -> Any:
    """None while it is not there yet."""
    answer = await client.get(path)
    if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.SERVICE_UNAVAILABLE}:
        return None
    answer.raise_for_status()
    return answer.json()


async def _until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(SOON):
            while True:
                if await condition():
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise TimeoutError(f"never happened: {what}") from None
