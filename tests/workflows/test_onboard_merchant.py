"""A merchant may sell once registry and a person said yes; after a no, nothing is left."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from domain.identifiers import MerchantId
from domain.settlement import application, merchant_account
from domain.settlement.application import Application
from domain.settlement.commands import Document, OpenMerchantAccount
from domain.settlement.merchant_account import MerchantAccount
from handrail.kernel import stream_name
from handrail.sagas.options import RunOptions
from handrail.testing.running_saga import Running, eventually
from runtime.app import HANDRAIL
from tests.controls import NOON, a_merchant
from tests.temporal import DATA_CONVERTER
from tests.workflows.asked import does, how_it_ended
from tests.workflows.steps import side_by_side
from tests.world import World
from workflows import onboard_merchant
from workflows.onboard_merchant import OnboardMerchant, OnboardMerchantWorkflow

COMPLETED = WorkflowExecutionStatus.COMPLETED
DOCUMENTS = tuple(Document(kind=kind, reference=f"doc-{kind}") for kind in application.REQUIRED)


def an_application(
    world: World,
    *,
    registration: str = "reg_ok",
    documents: tuple[Document, ...] = DOCUMENTS,
    merchant: MerchantId | None = None,
) -> Running:
    merchant = merchant or a_merchant()
    return Running(
        world=world,
        id=onboard_merchant.saga_id(merchant),
        workflow=OnboardMerchantWorkflow,
        input=OnboardMerchant(
            merchant=merchant,
            registration=registration,
            documents=documents,
            currency="EUR",
            fee_bps=250,
            submitted_at=NOON,
        ),
        options=RunOptions(queue_prefix=world.queue_prefix),
    )


async def stands(asked: Running) -> tuple[Application, MerchantAccount]:
    merchant = asked.input.merchant
    papers = stream_name(application.CATEGORY, merchant)
    account = stream_name(merchant_account.CATEGORY, merchant)
    events: dict[str, list[Any]] = {papers: [], account: []}
    async with asked.world.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT stream, type, schema, data FROM events WHERE stream = ANY(%s) ORDER BY version",
            (list(events),),
        )
        for stream, *stored in await rows.fetchall():
            events[stream].append(HANDRAIL.codec.decode(*stored))
    return (
        reduce(application.evolve, events[papers], Application()),
        reduce(merchant_account.evolve, events[account], MerchantAccount()),
    )


async def assert_nothing_is_left(asked: Running) -> None:
    papers, account = await stands(asked)
    assert papers.status in {"none", "withdrawn"}
    assert not account.is_open


@side_by_side
async def test_who_is_approved_may_sell(world: World) -> None:
    asked = an_application(world)
    await asked.starts()
    await asked.tells("AnswerAwaited", "RequestApproval")
    papers, account = await stands(asked)
    assert (papers.status, papers.awaits_approval, account.is_open) == ("submitted", True, True)
    await asked.is_answered(approved=True)
    assert await asked.ends() == COMPLETED
    papers, account = await stands(asked)
    assert (papers.status, account.is_open) == ("active", True)


@side_by_side
async def test_who_is_declined_leaves_no_account_and_may_apply_again(world: World) -> None:
    asked = an_application(world)
    await asked.starts()
    await asked.tells("AnswerAwaited", "RequestApproval")
    await asked.is_answered(approved=False)
    assert await asked.ends() == COMPLETED
    ended = await how_it_ended(asked)
    assert (ended.ending, ended.because, ended.reason) == (
        "refused",
        "Declined",
        "looked into it",
    )
    await assert_nothing_is_left(asked)
    await asked.is_started_again()
    await asked.tells("AnswerAwaited", "RequestApproval", times=2)
    await asked.is_answered(approved=True)
    assert await asked.ends() == COMPLETED
    papers, account = await stands(asked)
    assert (papers.status, account.is_open) == ("active", True)


@side_by_side
async def test_a_declined_application_closes_no_account_that_it_did_not_open(world: World) -> None:
    asked = an_application(world)
    merchant = asked.input.merchant
    await does(world, OpenMerchantAccount(merchant=merchant, currency="EUR", fee_bps=250))
    await asked.starts()
    await asked.tells("AnswerAwaited", "RequestApproval")

    async def waits() -> bool:
        return (await asked.shown()).status == "awaiting"

    await eventually(waits, "it waits for an answer")
    await asked.is_answered(approved=False)
    assert await asked.ends() == COMPLETED
    _, account = await stands(asked)
    assert account.is_open


@side_by_side
async def test_an_application_without_all_papers_is_refused_before_anybody_is_asked(
    world: World,
) -> None:
    asked = an_application(world, documents=DOCUMENTS[:1])
    await asked.starts()
    assert await asked.ends() == COMPLETED
    ended = await how_it_ended(asked)
    assert (ended.ending, ended.because) == ("refused", "ApplicationIncomplete")
    checks = (await world.registry.get("/ledger")).json()["checks"]
    assert not [one for one in checks if one["merchant"] == asked.input.merchant]
    await assert_nothing_is_left(asked)


@side_by_side
async def test_whom_the_registry_does_not_know_is_refused(world: World) -> None:
    asked = an_application(world, registration="reg_declined")
    await asked.starts()
    assert await asked.ends() == COMPLETED
    ended = await how_it_ended(asked)
    assert (ended.ending, ended.because) == ("refused", "RegistryRefused")
    await assert_nothing_is_left(asked)


@side_by_side
async def test_who_withdraws_while_somebody_has_to_decide_leaves_nothing(world: World) -> None:
    asked = an_application(world)
    await asked.starts()
    await asked.tells("AnswerAwaited", "RequestApproval")
    await asked.is_cancelled_by_the_requester()
    assert await asked.ends() == COMPLETED
    assert (await how_it_ended(asked)).ending == "compensated"
    await assert_nothing_is_left(asked)


async def test_nobody_who_decides_is_reminded_once_and_then_it_is_a_no(
    world: World, temporal: WorkflowEnvironment
) -> None:
    config = temporal.client.config()
    config["data_converter"] = DATA_CONVERTER
    asked = an_application(replace(world, client=Client(**config)))
    await asked.starts()
    assert await asked.ends() == COMPLETED
    await asked.tells("AnswerReminded", "RequestApproval")
    ended = await how_it_ended(asked)
    assert (ended.ending, ended.because) == ("refused", "NotAnswered")
    described = await asked.handle.describe()
    took = (described.close_time or described.start_time) - described.start_time
    assert took >= onboard_merchant.APPROVED_WITHIN
    await assert_nothing_is_left(asked)
