"""An erasure is refused while something is owed, and leaves the proof once it is done."""

from __future__ import annotations

from temporalio.client import WorkflowExecutionStatus

from domain.credit.commands import AssignLimit, HoldCredit, ReleaseCredit
from domain.customers import customer
from handrail.kernel import stream_name
from handrail.sagas.options import RunOptions
from handrail.testing.running_saga import Running
from tests.controls import NOON, a_customer, an_order_id, eur
from tests.workflows.asked import does, how_it_ended
from tests.workflows.steps import side_by_side
from tests.world import World
from workflows import erase_customer
from workflows.erase_customer import EraseCustomer, EraseCustomerWorkflow

COMPLETED = WorkflowExecutionStatus.COMPLETED


async def an_erasure(world: World, *, held: int = 0, released: bool = False) -> Running:
    """Of a customer for whom so much is held; not begun."""
    who, order = a_customer(), an_order_id()
    await does(world, AssignLimit(customer=who, limit=eur(100_00)))
    if held:
        await does(world, HoldCredit(customer=who, order=order, amount=eur(held)))
    if released:
        await does(world, ReleaseCredit(customer=who, order=order))
    return Running(
        world=world,
        id=erase_customer.saga_id(who),
        workflow=EraseCustomerWorkflow,
        input=EraseCustomer(customer=who, by="privacy", requested_at=NOON),
        options=RunOptions(queue_prefix=world.queue_prefix),
    )


async def stored(erasure: Running) -> list[str]:
    """The types of the events of the customer's stream."""
    stream = stream_name(customer.CATEGORY, erasure.input.customer)
    async with erasure.world.pool.connection() as connection:
        found = await connection.execute(
            "SELECT type FROM events WHERE stream = %s ORDER BY version", (stream,)
        )
        return [type_ for (type_,) in await found.fetchall()]


@side_by_side
async def test_what_is_held_refuses_the_erasure(world: World) -> None:
    erasure = await an_erasure(world, held=12_50)
    await erasure.starts()
    assert await erasure.ends() == COMPLETED
    ended = await how_it_ended(erasure)
    assert (ended.ending, ended.because) == ("refused", "CustomerErasureRefused")
    assert "12.50 EUR held or owed" in ended.reason
    assert await stored(erasure) == ["CustomerErasureRefused"]


@side_by_side
async def test_once_nothing_is_open_the_erasure_is_done_step_by_step(world: World) -> None:
    erasure = await an_erasure(world, held=12_50, released=True)
    await erasure.starts()
    assert await erasure.ends() == COMPLETED
    assert await stored(erasure) == [
        "CustomerErasureRequested",
        "CustomerKeysDestroyed",
        "CustomerDataRemoved",
        "CustomerErased",
    ]
