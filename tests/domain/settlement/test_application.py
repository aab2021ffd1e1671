from __future__ import annotations

import pytest

from domain.identifiers import MerchantId
from domain.settlement import application
from domain.settlement.application import REQUIRED, Application
from domain.settlement.commands import (
    ActivateMerchant,
    CheckRegistry,
    CloseApproval,
    DiscardCheck,
    Document,
    NotRegistered,
    Registered,
    RegistryReply,
    RequestApproval,
    SubmitApplication,
    WithdrawApplication,
)
from domain.settlement.events import (
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
from handrail.kernel import Command, Event
from handrail.testing.scenario import Scenario
from tests.controls import NOON

applying = Scenario(application, Application())
BOB, NUMBER = MerchantId("bob"), "reg_ok"
PAPERS = tuple(Document(kind=kind, reference=f"scan-{kind}") for kind in REQUIRED)
YES, NO = Registered(entry="entry-1"), NotRegistered(code="struck_off")


def submit(
    documents: tuple[Document, ...] = PAPERS, registration: str = NUMBER
) -> SubmitApplication:
    return SubmitApplication(
        merchant=BOB, registration=registration, documents=documents, submitted_at=NOON
    )


def check(reply: RegistryReply | None, registration: str = NUMBER) -> CheckRegistry:
    return CheckRegistry(merchant=BOB, registration=registration, reply=reply)


ACTIVATE = ActivateMerchant(merchant=BOB)
WITHDRAW, DISCARD = WithdrawApplication(merchant=BOB), DiscardCheck(merchant=BOB)
REQUEST, CLOSE = RequestApproval(merchant=BOB), CloseApproval(merchant=BOB)
SUBMITTED = ApplicationSubmitted(
    merchant=BOB, registration=NUMBER, documents=PAPERS, submitted_at=NOON
)
WITHDRAWN = ApplicationWithdrawn(merchant=BOB)
CHECKED = RegistryChecked(merchant=BOB, registration=NUMBER, entry="entry-1")
DISCARDED = CheckDiscarded(merchant=BOB)
REQUESTED, CLOSED = ApprovalRequested(merchant=BOB), ApprovalClosed(merchant=BOB)
ACTIVATED = MerchantActivated(merchant=BOB)


@pytest.mark.parametrize("history", [(), (SUBMITTED, WITHDRAWN)])
def test_who_brings_every_document_has_applied(history: tuple[Event, ...]) -> None:
    applying.given(*history).when(submit()).then(SUBMITTED)


@pytest.mark.parametrize("number", range(len(REQUIRED)))
def test_who_lacks_a_document_is_told_which(number: int) -> None:
    some = PAPERS[:number] + PAPERS[number + 1 :]
    missing = ApplicationIncomplete(merchant=BOB, missing=(REQUIRED[number],))
    applying.when(submit(some)).then(missing)
    assert missing.reason.endswith(REQUIRED[number].replace("_", " "))


def test_one_applies_once() -> None:
    applying.given(SUBMITTED).when(submit()).then()
    other = submit(registration="reg_other")
    applying.given(SUBMITTED).when(other).then_refuses_rule(ContentDiffers)


def test_an_application_is_withdrawn_once() -> None:
    applying.given(SUBMITTED).when(WITHDRAW).then(WITHDRAWN).when(WITHDRAW).then()
    applying.when(WITHDRAW).then()


@pytest.mark.parametrize("undo", [WITHDRAW, DISCARD, CLOSE])
def test_who_is_active_stays_so_whatever_is_taken_back(undo: Command) -> None:
    applying.given(SUBMITTED, CHECKED, REQUESTED, ACTIVATED).when(undo).then()


def test_the_registry_is_asked_once() -> None:
    checked = applying.given(SUBMITTED).when(check(YES)).then(CHECKED)
    for reply in (YES, NO, None):
        checked.when(check(reply)).then()


def test_a_business_that_the_registry_does_not_know_is_refused() -> None:
    refused = RegistryRefused(merchant=BOB, registration=NUMBER, code="struck_off")
    applying.given(SUBMITTED).when(check(NO)).then(refused).when(check(YES)).then(CHECKED)


def test_silence_of_the_registry_is_no_answer() -> None:
    applying.given(SUBMITTED).when(check(None)).then_refuses_rule(OutsideAnswerMissing)


def test_the_number_that_is_looked_up_is_the_one_that_was_given() -> None:
    other = check(None, registration="reg_other")
    applying.given(SUBMITTED).when(other).then_refuses_rule(ContentDiffers)


def test_a_check_is_discarded_once() -> None:
    applying.given(SUBMITTED, CHECKED).when(DISCARD).then(DISCARDED).when(DISCARD).then()
    applying.when(DISCARD).then()


def test_an_approval_is_asked_for_until_it_is_closed() -> None:
    asked = applying.given(SUBMITTED).when(REQUEST).then(REQUESTED).when(REQUEST).then()
    asked.when(CLOSE).then(CLOSED).when(CLOSE).then()


def test_who_applied_and_was_checked_becomes_active_once() -> None:
    applying.given(SUBMITTED, CHECKED).when(ACTIVATE).then(ACTIVATED).when(ACTIVATE).then()


@pytest.mark.parametrize(
    "history",
    [(), (SUBMITTED,), (SUBMITTED, CHECKED, DISCARDED), (SUBMITTED, CHECKED, WITHDRAWN)],
)
def test_nobody_becomes_active_unchecked(history: tuple[Event, ...]) -> None:
    applying.given(*history).when(ACTIVATE).then_refuses_rule(OutOfOrder)


@pytest.mark.parametrize("asked", [check(YES), REQUEST, ACTIVATE])
@pytest.mark.parametrize("history", [(), (SUBMITTED, CHECKED, WITHDRAWN)])
def test_nothing_happens_for_who_has_not_applied(
    asked: Command, history: tuple[Event, ...]
) -> None:
    applying.given(*history).when(asked).then_refuses_rule(OutOfOrder)


def test_a_check_of_a_withdrawn_application_does_not_count_for_the_next() -> None:
    again = applying.given(SUBMITTED, CHECKED, WITHDRAWN, SUBMITTED)
    again.when(ACTIVATE).then_refuses_rule(OutOfOrder)
