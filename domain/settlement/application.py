"""A merchant's application: what it takes until somebody may sell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from domain.identifiers import MerchantId
from domain.settlement.commands import (
    ActivateMerchant,
    ApplicationCommand,
    CheckRegistry,
    CloseApproval,
    DiscardCheck,
    NotRegistered,
    Registered,
    RequestApproval,
    SubmitApplication,
    WithdrawApplication,
)
from domain.settlement.events import (
    ApplicationEvent,
    ApplicationIncomplete,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    ApprovalClosed,
    ApprovalRequested,
    CheckDiscarded,
    MerchantActivated,
    RegistryChecked,
    RegistryRefused,
)
from handrail.errors import ContentDiffers, OutOfOrder, OutsideAnswerMissing

CATEGORY: Final = "application"

REQUIRED: Final = ("identity", "bank_account", "registration")
"""The kinds of documents that every application needs."""


@dataclass(frozen=True)
class Application:
    """`entry` is what the registry calls the business, and empty until it was asked."""

    status: Literal["none", "submitted", "withdrawn", "active"] = "none"
    content: ApplicationSubmitted | None = None
    entry: str = ""
    awaits_approval: bool = False


def evolve(  # noqa: PLR0911  # one arm an event
    application: Application, event: ApplicationEvent
) -> Application:
    match event:
        case ApplicationSubmitted():
            return replace(application, status="submitted", content=event)
        case ApplicationWithdrawn():
            return Application("withdrawn")
        case RegistryChecked(entry=entry):
            return replace(application, entry=entry)
        case CheckDiscarded():
            return replace(application, entry="")
        case ApprovalRequested():
            return replace(application, awaits_approval=True)
        case ApprovalClosed():
            return replace(application, awaits_approval=False)
        case MerchantActivated():
            return replace(application, status="active")
        case ApplicationIncomplete() | RegistryRefused():
            return application
        case _:
            assert_never(event)


def decide(  # one arm a command
    command: ApplicationCommand, application: Application
) -> Sequence[ApplicationEvent]:
    match command:
        case SubmitApplication():
            return _submit(command, application)
        case WithdrawApplication() | DiscardCheck() | CloseApproval():
            return _taken_back(command, application)
        case CheckRegistry():
            return _check(command, application)
        case RequestApproval(merchant=merchant):
            return _request_approval(merchant, application)
        case ActivateMerchant():
            return _activate(command, application)
        case _:
            assert_never(command)


def _submit(command: SubmitApplication, application: Application) -> Sequence[ApplicationEvent]:
    submitted = ApplicationSubmitted(
        merchant=command.merchant,
        registration=command.registration,
        documents=command.documents,
        submitted_at=command.submitted_at,
    )
    if application.content == submitted:
        return []
    if application.content is not None:
        raise ContentDiffers(f"{command.merchant} has applied already")
    given = {document.kind for document in command.documents}
    missing = tuple(kind for kind in REQUIRED if kind not in given)
    if missing:
        return [ApplicationIncomplete(merchant=command.merchant, missing=missing)]
    return [submitted]


def _taken_back(
    command: WithdrawApplication | DiscardCheck | CloseApproval, application: Application
) -> Sequence[ApplicationEvent]:
    """A merchant who is active stays so: an application that is taken back was another one."""
    merchant = command.merchant
    if application.status == "active":
        return []
    match command:
        case WithdrawApplication():
            return [ApplicationWithdrawn(merchant=merchant)] if application.content else []
        case DiscardCheck():
            return [CheckDiscarded(merchant=merchant)] if application.entry else []
        case CloseApproval():
            return [ApprovalClosed(merchant=merchant)] if application.awaits_approval else []
        case _:
            assert_never(command)


def _check(command: CheckRegistry, application: Application) -> Sequence[ApplicationEvent]:
    merchant, registration = command.merchant, command.registration
    content = _submitted(merchant, application)
    if content.registration != registration:
        raise ContentDiffers(f"{merchant} applied as {content.registration}, not {registration}")
    if application.entry:
        return []
    match command.reply:
        case Registered(entry=entry):
            return [RegistryChecked(merchant=merchant, registration=registration, entry=entry)]
        case NotRegistered(code=code):
            return [RegistryRefused(merchant=merchant, registration=registration, code=code)]
        case None:
            raise OutsideAnswerMissing(merchant)


def _request_approval(merchant: MerchantId, application: Application) -> Sequence[ApplicationEvent]:
    _submitted(merchant, application)
    return [] if application.awaits_approval else [ApprovalRequested(merchant=merchant)]


def _activate(command: ActivateMerchant, application: Application) -> Sequence[ApplicationEvent]:
    merchant = command.merchant
    _submitted(merchant, application)
    if application.status == "active":
        return []
    if not application.entry:
        raise OutOfOrder(f"{merchant} was not looked up in the registry")
    return [MerchantActivated(merchant=merchant)]


def _submitted(merchant: MerchantId, application: Application) -> ApplicationSubmitted:
    if application.content is None:
        raise OutOfOrder(f"{merchant} has not applied: the application is {application.status}")
    return application.content
