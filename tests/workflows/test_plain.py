"""A saga without a tenant and without money runs, and the boards show it."""

from __future__ import annotations

from temporalio.client import WorkflowExecutionStatus
from temporalio.worker import Worker

from domain.credit.commands import AssignLimit
from domain.identifiers import OrderId
from handrail.http.schemas import Money
from handrail.kernel import NO_TENANT
from handrail.projections import saga_board, saga_figures
from handrail.sagas.events import NOTHING_AT_STAKE, SagaEnded, SagaStarted
from handrail.sagas.options import RunOptions
from handrail.sagas.visibility import SAGA_TYPE, begun_as, tenant_key
from handrail.testing.evidence import read
from handrail.testing.running_saga import Running
from tests.controls import a_customer, an_order_id, eur
from tests.projections import folds
from tests.temporal import SANDBOX
from tests.workflows.asked import does
from tests.workflows.growing import Grow
from tests.workflows.plain import Plain
from tests.world import World

STARTED = SagaStarted(
    saga="1",
    saga_type="Plain",
    shape=1,
    attempt=1,
    tenant=NO_TENANT,
    at_stake=NOTHING_AT_STAKE,
    actor="ann",
)


async def test_a_saga_without_tenant_and_money_completes(world: World) -> None:
    place, customer, order = world.elsewhere(), a_customer(), an_order_id()
    await does(world, AssignLimit(customer=customer, limit=eur(500)))
    saga = Running(
        world=place,
        id=order,
        workflow=Plain,
        input=Grow(customer=customer, order=OrderId(order), limit=eur(100)),
        options=RunOptions(queue_prefix=place.queue_prefix),
    )
    async with Worker(
        place.client,
        task_queue=f"{place.queue_prefix}sagas",
        workflows=[Plain],
        activities=[one for group in place.activities().values() for one in group],
        workflow_runner=SANDBOX,
    ):
        await saga.starts()
        assert await saga.ends() == WorkflowExecutionStatus.COMPLETED
    found = await read(place, saga.id)
    [started] = found.told(SagaStarted)
    assert (started.tenant, started.at_stake) == ("", NOTHING_AT_STAKE)
    assert [one.ending for one in found.told(SagaEnded)] == ["completed"]


def test_a_saga_without_tenant_is_begun_without_that_search_attribute() -> None:
    attributes = begun_as("Plain", NO_TENANT, RunOptions())
    assert attributes.get(SAGA_TYPE) == "Plain"
    assert attributes.get(tenant_key(RunOptions().tenant_word)) is None


def test_nothing_at_stake_is_no_amount_on_the_board() -> None:
    row = folds.after(saga_board.projection("tenant"), STARTED)
    assert row.tenant == ""
    assert Money.at_stake(row.at_stake, row.currency) is None
    assert Money.at_stake(0, "EUR") == Money(amount=0, currency="EUR")


def test_nothing_at_stake_is_in_no_figure() -> None:
    figures = {
        name
        for name, _ in saga_figures.adds(folds.after(saga_figures.projection(frozenset()), STARTED))
    }
    assert "standing" in figures
    assert "at_stake" not in figures
