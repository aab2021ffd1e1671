"""Records the histories of processes around sagas: `python -m tests.workflows.process_histories`.

A process continues as new, so a story is several files, one for each run. A file is never changed:
runs that began with older code go on with newer code until they continue as new, so what newer
code does otherwise is behind `workflow.patched`, and a new story appears beside the old ones.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from temporalio.testing import WorkflowEnvironment

from domain.payments.events import InstalmentCollected
from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.temporal import FLAGS, search_attributes, server_program
from handrail.migrations import upgrade
from handrail.testing.running_saga import eventually
from tests.workflows.collecting import a_plan, skipping_time
from tests.workflows.histories import FOLDER, SUFFIX, write
from tests.workflows.returned import a_delivered_order, a_return
from tests.workflows.test_collect_instalments import DAY, FIRST_DUE, LONG_AGO, collection_of
from tests.workflows.test_collecting_again import the_plan_of
from tests.workflows.test_deliver_order import (
    DELIVERED,
    DISPATCHED,
    LOST,
    an_order_on_its_way,
    carrier_tells,
    what_became_of,
)
from tests.world import World, open_world

Story = Callable[[World, World], Awaitable[str]]
"""In the world, and in the one that skips time; answers the id of the process."""


async def missed_and_paid(_world: World, soon: World) -> str:
    plan = await a_plan(soon, instalments=2, card="card_charge_declined_3")
    await plan.is_collected()
    await plan.ends()
    return plan.id


async def given_up(_world: World, soon: World) -> str:
    plan = await a_plan(soon, instalments=2, card="card_charge_declined")
    await plan.is_collected()
    await plan.ends()
    return plan.id


async def moved_and_settled(world: World, _soon: World) -> str:
    plan = await a_plan(world)
    await plan.is_collected()
    await plan.is_read()
    await plan.is_moved(2, FIRST_DUE + 40 * DAY)
    await plan.is_to_be_paid()
    await plan.ends()
    return plan.id


async def waiting_beside(world: World, _soon: World) -> str:
    """One waits for a person while the other is collected."""
    plan = await a_plan(world, instalments=2, first_due=LONG_AGO, patience=1)
    first = collection_of(plan, 1)
    first.fails("CollectInstalment")
    await plan.is_collected()
    await first.parks("CollectInstalment")

    async def other_is_collected() -> bool:
        return bool(await plan.told(InstalmentCollected))

    await eventually(other_is_collected, "the other is collected")
    first.recovers("CollectInstalment")
    await first.is_told("retry")
    await plan.ends()
    return plan.id


async def delivered(world: World, _soon: World) -> str:
    order = await an_order_on_its_way(world)
    await carrier_tells(order, DISPATCHED, DELIVERED)
    await what_became_of(order)
    return f"delivery-{order.id}"


async def lost(world: World, _soon: World) -> str:
    order = await an_order_on_its_way(world)
    await carrier_tells(order, LOST)
    await what_became_of(order)
    return f"delivery-{order.id}"


async def refused_and_collected_anew(world: World, _soon: World) -> str:
    """The return is refused once who collects its plan has ended."""
    order = await a_delivered_order(world, card="card_refund_declined")
    await order.is_being_collected()
    plan = the_plan_of(order)
    back = await a_return(order)
    refund = back.is_held("RefundPayment")
    await back.starts()
    await refund.reached()
    await plan.is_to_be_paid()
    await plan.ends()
    refund.open()
    await back.ends()
    return back.id


async def refused_and_collected_on(world: World, _soon: World) -> str:
    """The return is refused while its plan is collected."""
    order = await a_delivered_order(world, card="card_refund_declined")
    await order.is_being_collected()
    back = await a_return(order)
    await back.starts()
    await back.ends()
    return back.id


STORIES: Final[Mapping[str, Story]] = {
    "CollectInstalments-missed_and_paid": missed_and_paid,
    "CollectInstalments-given_up": given_up,
    "CollectInstalments-moved_and_settled": moved_and_settled,
    "CollectInstalments-waiting_beside": waiting_beside,
    "ReturnOrder-refused_and_collected_anew": refused_and_collected_anew,
    "ReturnOrder-refused_and_collected_on": refused_and_collected_on,
    "DeliverOrder-delivered": delivered,
    "DeliverOrder-lost": lost,
}


async def record() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            EmbeddedPostgres(Path(folder)) as postgres,
            await WorkflowEnvironment.start_time_skipping_v2(
                dev_server_existing_path=server_program(),
                dev_server_extra_args=FLAGS,
                dev_server_log_level="error",
                search_attributes=search_attributes("merchant"),
            ) as temporal,
        ):
            await asyncio.to_thread(upgrade, postgres.url, "handrail_app")
            async with open_world(postgres.url, temporal) as world, world.at_work():
                for name, story in STORIES.items():
                    if any(FOLDER.glob(f"{name}-*{SUFFIX}")):
                        continue
                    process = await story(world, skipping_time(world, temporal))
                    for number, history in enumerate(await _runs(world, process), start=1):
                        write(FOLDER / f"{name}-{number}{SUFFIX}", history)


async def _runs(world: World, process: str) -> list[dict[str, Any]]:
    """The history of each run, the first one first."""
    found, run = [], ""
    while True:
        handle = world.client.get_workflow_handle(process, run_id=run or None)
        history = await handle.fetch_history()
        found.append(history.to_json_dict())
        started = history.events[0].workflow_execution_started_event_attributes
        if not (run := started.continued_execution_run_id):
            return found[::-1]


if __name__ == "__main__":
    asyncio.run(record())
