"""An intervention in many sagas is suspended and resumed, also where its worker ends meanwhile."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from handrail.kernel import Attribution
from tests.api.shop import eventually
from tests.workflows.test_intervening import Operators, Serve, around, operators

__all__ = ["operators"]
ANN = Attribution(actor="ann", reason="to see how the first ones go")
BOB = Attribution(actor="bob", reason="they go well")


async def test_suspended_it_tells_no_more_until_it_is_resumed_by_a_worker_that_came_later(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.sagas.bulk_intervention.AT_ONCE", 1)
    reached, opened = asyncio.Event(), asyncio.Event()

    async def held(serve: Serve) -> str:
        reached.set()
        await opened.wait()
        return await serve()

    async with operators.world.at_work():
        async with operators.at_work(around(operators.activities(), held)):
            orders = await operators.parked(3)
            told = await operators.tell()
            await reached.wait()
            for _ in range(2):  # suspended twice is suspended once
                await told.execute_update("suspend", ANN)
            opened.set()
            await eventually(partial(operators.kept, told, "SagaTold"), "the first to be told")
        shown = await operators.shown(told)
        assert shown is not None
        assert (shown.state, shown.stopped_by, shown.accepted) == ("suspended", "ann", 1)
        assert [len(await operators.resumed(order)) for order in orders] == [1, 0, 0]

        async with operators.at_work():
            await told.execute_update("resume", BOB)
            result = await told.result()
    assert (result.accepted, result.is_suspended) == (3, False)
    assert [len(await operators.resumed(order)) for order in orders] == [1, 1, 1]
    [suspended] = await operators.kept(told, "InterventionSuspended")
    [resumed] = await operators.kept(told, "InterventionResumed")
    assert (suspended["actor"], resumed["actor"]) == ("ann", "bob")
    shown = await operators.shown(told)
    assert shown is not None
    assert (shown.state, shown.stopped_by, shown.found) == ("finished", "", 3)


@pytest.mark.thorough
async def test_suspended_it_can_still_be_stopped(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handrail.sagas.bulk_intervention.AT_ONCE", 1)
    reached, opened = asyncio.Event(), asyncio.Event()

    async def held(serve: Serve) -> str:
        reached.set()
        await opened.wait()
        return await serve()

    async with (
        operators.world.at_work(),
        operators.at_work(around(operators.activities(), held)),
    ):
        orders = await operators.parked(2)
        told = await operators.tell()
        await reached.wait()
        await told.execute_update("suspend", ANN)
        opened.set()
        await told.execute_update("stop", BOB)
        result = await told.result()
    assert (result.told, result.stopped) == (1, BOB)
    assert [len(await operators.resumed(order)) for order in orders] == [1, 0]
