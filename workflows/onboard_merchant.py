"""Take on a merchant: papers, the registry, an account, and somebody who says yes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio import workflow

from domain.identifiers import MerchantId
from domain.settlement.commands import (
    ActivateMerchant,
    CheckRegistry,
    CloseApproval,
    CloseMerchantAccount,
    DiscardCheck,
    Document,
    OpenMerchantAccount,
    RequestApproval,
    SubmitApplication,
    WithdrawApplication,
)
from handrail.kernel import Money
from handrail.sagas.definition import Saga, Step
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import SagaIdentity, SagaResult
from handrail.sagas.saga_type import SagaType
from handrail.sagas.workflow_handlers import SagaHandlers
from workflows.options import ShopOptions

TYPE: Final = "OnboardMerchant"
APPROVED_WITHIN: Final = timedelta(days=14)
REMINDED_AFTER: Final = timedelta(days=7)
AS_USUAL: Final = ShopOptions()


@dataclass(frozen=True, kw_only=True)
class OnboardMerchant:
    """An application; `documents` are references. `currency` and `fee_bps` are the account's."""

    merchant: MerchantId
    registration: str
    documents: tuple[Document, ...]
    currency: str
    fee_bps: int
    submitted_at: datetime


NEWEST: Final = 2
"""From shape 2 on, only an account that was opened for the application is closed with it."""


def saga(a: OnboardMerchant, options: ShopOptions = AS_USUAL) -> Saga:
    shape = options.shape or NEWEST
    onboarding = shape > 1
    return Saga(
        compensatable=[
            Step(
                do=SubmitApplication(
                    merchant=a.merchant,
                    registration=a.registration,
                    documents=a.documents,
                    submitted_at=a.submitted_at,
                ),
                undo=WithdrawApplication(merchant=a.merchant),
            ),
            Step(
                do=CheckRegistry(merchant=a.merchant, registration=a.registration),
                undo=DiscardCheck(merchant=a.merchant),
            ),
            Step(
                do=OpenMerchantAccount(
                    merchant=a.merchant,
                    currency=a.currency,
                    fee_bps=a.fee_bps,
                    onboarding=onboarding,
                ),
                undo=CloseMerchantAccount(merchant=a.merchant, onboarding=onboarding),
            ),
            Step(
                do=RequestApproval(merchant=a.merchant),
                undo=CloseApproval(merchant=a.merchant),
                answered_within=APPROVED_WITHIN,
                reminded_after=REMINDED_AFTER,
            ),
        ],
        pivot=ActivateMerchant(merchant=a.merchant),
        shape=shape,
        repeats="always",
    )


def example() -> Saga:
    """That of some application: its steps are the same for all of them."""
    application = OnboardMerchant(
        merchant=MerchantId("merchant-1"),
        registration="registration-1",
        documents=(Document(kind="identity", reference="document-1"),),
        currency="EUR",
        fee_bps=250,
        submitted_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return saga(application)


def saga_id(merchant: str) -> str:
    return f"onboard-{merchant}"


def summary(a: OnboardMerchant) -> str:
    """One line for the list of workflows in the Temporal UI. Nothing personal."""
    return f"{a.merchant}: an account in {a.currency}, {a.fee_bps} basis points"


def details(a: OnboardMerchant) -> str:
    """What the Temporal UI shows of an application, in Markdown. Nothing personal."""
    kinds = ", ".join(document.kind for document in a.documents) or "none"
    return f"Application of `{a.merchant}`\n\nDocuments: {kinds}"


@workflow.defn(name=TYPE)
class OnboardMerchantWorkflow(SagaHandlers):
    shape = NEWEST

    @workflow.init
    def __init__(
        self, asked: OnboardMerchant, options: ShopOptions, actor: str, attempt: int
    ) -> None:
        self._saga = SagaExecution(
            saga(asked, options),
            SagaIdentity(
                saga=workflow.info().workflow_id,
                saga_type=TYPE,
                tenant=asked.merchant,
                at_stake=Money(0, asked.currency),
                actor=actor,
                attempt=attempt,
                input=asked,
            ),
            options,
        )

    @workflow.run
    async def run(
        self, _asked: OnboardMerchant, _options: ShopOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()


SAGA: Final = SagaType(
    name=TYPE,
    purpose="Take on a merchant: papers, the registry, an account, and somebody's yes.",
    workflow=OnboardMerchantWorkflow,
    example=example,
)
