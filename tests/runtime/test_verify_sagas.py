"""`verify` over sagas that ran: what went well, and what a person put right or terminated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.verify.proof import Proof
from runtime.verify.prove import prove
from tests.world import World, open_world

SOON = 1.0  # seconds, for what is never answered


@dataclass(frozen=True)
class Checked:
    world: World
    url: str

    async def proof(self) -> Proof:
        bank, carrier = str(self.world.bank.base_url), str(self.world.carrier.base_url)
        return await prove(self.url, bank, carrier, self.world.client)


@pytest.fixture
async def checked(
    database_with_read_models: str, temporal: WorkflowEnvironment
) -> AsyncIterator[Checked]:
    async with open_world(database_with_read_models, temporal) as world, world.at_work():
        yield Checked(world, database_with_read_models)


@pytest.mark.thorough
async def test_what_was_done_and_what_was_taken_back_adds_up(checked: Checked) -> None:
    done, declined = (
        await checked.world.an_order(),
        await checked.world.an_order(card="card_capture_declined"),
    )
    for order in (done, declined):
        await order.starts()
        await order.ends()

    proof = await checked.proof()

    assert proof.holds, proof.violations
    assert proof.explained() == {}


async def test_a_pivot_that_a_person_resolved_is_explained(checked: Checked) -> None:
    order = await checked.world.an_order(deadline=SOON, patience=SOON)
    order.fails("CapturePayment")
    await order.starts()
    await order.parks("CapturePayment")
    await order.is_told("resolve", "CapturePayment")
    await order.ends()

    proof = await checked.proof()

    assert proof.holds, proof.violations
    assert "bank_agrees" in proof.explained()
    [said, *_] = proof.findings["bank_agrees"].explanations
    assert said.endswith(f"by hand, CapturePayment of saga {order.id}")


@pytest.mark.thorough
async def test_a_booking_that_a_person_skipped_is_explained(checked: Checked) -> None:
    order = await checked.world.an_order(ship_to="addr_undeliverable")
    await order.starts()
    await order.parks("BookShipment")
    assert (await checked.proof()).holds
    await order.is_told("skip", "BookShipment")
    await order.ends()

    proof = await checked.proof()

    assert proof.holds, proof.violations
    assert proof.explained() == {"carrier_agrees": 1}


@pytest.mark.thorough
async def test_a_saga_that_was_terminated_is_wrong_until_another_attempt_has_ended(
    checked: Checked,
) -> None:
    order = await checked.world.an_order(ship_to="addr_undeliverable")
    await order.starts()
    await order.parks("BookShipment")
    await order.is_terminated()
    wrong = (await checked.proof()).violations
    assert [name for name, found in wrong.items() if found] == ["processes_run"]

    await order.is_started_again()
    await order.parks("BookShipment")

    assert (await checked.proof()).holds


@pytest.mark.quick(1)
@pytest.mark.parametrize("process", ["plan", "delivery"])
async def test_a_process_that_was_terminated_is_seen(checked: Checked, process: str) -> None:
    order = await checked.world.an_order()
    await order.starts()
    await order.ends()
    assert (await checked.proof()).holds

    follows = checked.world.client.get_workflow_handle(f"{process}-{order.id}")
    await follows.terminate("a test")

    [found] = (await checked.proof()).violations["processes_run"]
    assert found.endswith(f"{process}-{order.id} does not run")
