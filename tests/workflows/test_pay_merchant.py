"""What is owed to a merchant is paid once; what is not paid is owed as before."""

from __future__ import annotations

from functools import reduce
from typing import Any

from temporalio.client import WorkflowExecutionStatus

from domain.identifiers import MerchantId, PayoutId
from domain.settlement import merchant_account
from domain.settlement.commands import AccruePayable, OpenMerchantAccount
from domain.settlement.merchant_account import MerchantAccount
from handrail.kernel import Money, stream_name
from handrail.sagas.options import RunOptions
from handrail.testing.running_saga import Running
from runtime.app import HANDRAIL
from tests.controls import a_merchant, an_order_id, eur
from tests.workflows.asked import does, how_it_ended
from tests.workflows.steps import side_by_side
from tests.world import World, world_of
from workflows import pay_merchant
from workflows.pay_merchant import PayMerchant, PayMerchantWorkflow

COMPLETED = WorkflowExecutionStatus.COMPLETED
OWED = eur(100_00)


async def a_payout(
    world: World, *, amount: Money = OWED, merchant: str = "", patience: float = 300
) -> Running:
    """To a merchant who is owed `OWED`; not begun."""
    payee = MerchantId(merchant or a_merchant())
    await does(world, OpenMerchantAccount(merchant=payee, currency="EUR", fee_bps=0))
    await does(world, AccruePayable(merchant=payee, order=an_order_id(), gross=OWED))
    payout = PayoutId(f"2026-03-02-{payee}")
    return Running(
        world=world,
        id=pay_merchant.saga_id(payout),
        workflow=PayMerchantWorkflow,
        input=PayMerchant(payout=payout, merchant=payee, amount=amount),
        options=RunOptions(queue_prefix=world.queue_prefix, patience_seconds=patience),
    )


async def account_of(payout: Running) -> MerchantAccount:
    stream = stream_name(merchant_account.CATEGORY, payout.input.merchant)
    async with payout.world.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT type, schema, data FROM events WHERE stream = %s ORDER BY version", (stream,)
        )
        events: list[Any] = [HANDRAIL.codec.decode(*row) for row in await rows.fetchall()]
    return reduce(merchant_account.evolve, events, MerchantAccount())


async def paid_by_the_bank(payout: Running) -> list[str]:
    """The states of what it sent."""
    ledger = (await world_of(payout).bank.get("/ledger")).json()
    return [one["state"] for one in ledger["payouts"] if one["payout"] == payout.input.payout]


@side_by_side
async def test_what_is_paid_is_no_longer_owed(world: World) -> None:
    payout = await a_payout(world)
    await payout.starts()
    assert await payout.ends() == COMPLETED
    account = await account_of(payout)
    assert (account.balance, account.payouts.pending) == (eur(0), {})
    assert await paid_by_the_bank(payout) == ["paid"]


@side_by_side
async def test_more_than_is_still_owed_is_refused_before_the_bank_is_asked(world: World) -> None:
    payout = await a_payout(world, amount=eur(100_01))
    await payout.starts()
    assert await payout.ends() == COMPLETED
    ended = await how_it_ended(payout)
    assert (ended.ending, ended.because) == ("refused", "PayoutRefused")
    assert (await account_of(payout)).balance == OWED
    assert await paid_by_the_bank(payout) == []


@side_by_side
async def test_what_the_bank_refuses_is_owed_as_before(world: World) -> None:
    payout = await a_payout(world, merchant=f"{a_merchant()}-payout_declined")
    await payout.starts()
    assert await payout.ends() == COMPLETED
    ended = await how_it_ended(payout)
    assert (ended.ending, ended.because) == ("refused", "TransferDeclined")
    account = await account_of(payout)
    assert (account.balance, account.payouts.pending) == (OWED, {})


@side_by_side
async def test_a_transfer_that_nobody_knows_of_is_never_paid_twice(world: World) -> None:
    payout = await a_payout(world, patience=3)
    payout.loses_the_answer("TransferPayout")
    await payout.starts()
    await payout.parks("TransferPayout")
    payout.recovers("TransferPayout")
    await payout.is_told("retry")
    assert await payout.ends() == COMPLETED
    assert (await account_of(payout)).balance == eur(0)
    assert await paid_by_the_bank(payout) == ["paid"]
