"""What a person may not correct: money, whom it is for, and what no request may say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from handrail.command_fields import why_not_correctable
from handrail.kernel import Command, Money
from handrail.replies import Accepted
from handrail.sagas.events import SagaResumed
from handrail.testing.trial import Trial, a_trial
from tests.controls import eur
from tests.workflows.harness.cases import CASES
from tests.workflows.test_pay_merchant import COMPLETED, a_payout
from tests.world import World

PARKED = [
    ("PayMerchant", "TransferPayout"),
    ("PayMerchant", "ConfirmPayout"),
    ("CollectInstalment", "CollectInstalment"),
    ("SettleEarly", "RestoreCredit"),
    ("Checkout", "CapturePayment"),
    ("Checkout", "AccruePayable"),
    ("ReturnOrder", "Restock"),
]


def another(value: Any) -> Any:
    """Of the same type, and not the same."""
    match value:
        case Money():
            return value * 10_000
        case str():
            return f"{value}-2"
        case int():
            return value + 1
        case tuple():
            return (*value, *value)
        case None:
            return Accepted(reference="by telephone")
        case _:
            raise TypeError(value)


def forbidden(asked: Command) -> Iterator[Command]:
    for field in fields(asked):
        if why_not_correctable(type(asked), field.name):
            yield replace(asked, **{field.name: another(getattr(asked, field.name))})


async def refused(trial: Any, step: str, correction: Command) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await trial.is_told("correct", step, correction=correction)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "WrongCorrection"
    return failed.value.cause.message


@pytest.mark.quick(1)
@pytest.mark.parametrize(("name", "step"), PARKED, ids=[step for _, step in PARKED])
async def test_what_moves_money_or_goods_is_not_corrected(
    world: World, name: str, step: str
) -> None:
    trial: Trial = await a_trial(world, CASES[name], "local", {}, patience=0.5)
    async with trial:
        trial.fails(step)
        await trial.starts()
        await trial.parks(step)
        wrong = list(forbidden(await trial.parked_command(step)))
        assert wrong
        for one in wrong:
            assert "cannot be corrected" in await refused(trial, step, one)
        trial.recovers(step)
        await trial.is_told("retry", step)
        await trial.ends()
        found = await trial.evidence()
    assert found.ended.ending == "completed"
    assert [one.kind for one in found.told(SagaResumed)] == ["retry"]


async def test_a_payout_of_a_hundred_never_becomes_a_transfer_of_a_million(world: World) -> None:
    payout = await a_payout(world, patience=0.5)
    payout.fails("TransferPayout")
    await payout.starts()
    await payout.parks("TransferPayout")
    asked = await payout.parked_command("TransferPayout")
    said = await refused(payout, "TransferPayout", replace(asked, amount=eur(1_000_000_00)))
    assert "second person" in said
    payout.recovers("TransferPayout")
    await payout.is_told("retry", "TransferPayout")
    assert await payout.ends() is COMPLETED
    ledger = (await world.bank.get("/ledger")).json()
    sent = [one["amount"] for one in ledger["payouts"] if one["payout"] == payout.input.payout]
    assert sent == [100_00]


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "changes",
    [{"ship_to": "x" * 200_000}, {"ship_to": "a\0b"}, {"parcels": 2**40}],
    ids=["long", "NUL", "many"],
)
async def test_a_correction_has_the_bounds_of_a_request(
    world: World, changes: dict[str, Any]
) -> None:
    trial = await a_trial(world, CASES["Checkout"], "local", {}, patience=0.5)
    async with trial:
        trial.fails("BookShipment")
        await trial.starts()
        await trial.parks("BookShipment")
        asked = await trial.parked_command("BookShipment")
        with pytest.raises((WorkflowUpdateFailedError, ApplicationError)):
            await trial.is_told("correct", "BookShipment", correction=replace(asked, **changes))
        trial.recovers("BookShipment")
        await trial.is_told("retry", "BookShipment")
        assert await trial.ends() is COMPLETED
