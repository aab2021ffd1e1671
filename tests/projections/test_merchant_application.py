from __future__ import annotations

from functools import partial

import pytest

from domain.identifiers import MerchantId
from domain.settlement.commands import Document
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
from handrail.kernel import Event
from handrail.projections.projection import OutOfPlace
from projections.merchant_application import PROJECTION, MerchantApplication
from tests.controls import NOON
from tests.projections import folds
from tests.projections.folds import at

BOB = MerchantId("bob")
SUBMITTED = ApplicationSubmitted(
    merchant=BOB,
    registration="HRB 1",
    documents=(Document(kind="identity", reference="doc-1"),),
    submitted_at=NOON,
)
CHECKED = RegistryChecked(merchant=BOB, registration="HRB 1", entry="entry-1")
ASKED = ApprovalRequested(merchant=BOB)
ACTIVATED = MerchantActivated(merchant=BOB)
TURNED_DOWN = (
    ApprovalClosed(merchant=BOB),
    CheckDiscarded(merchant=BOB),
    ApplicationWithdrawn(merchant=BOB),
)
after = partial(folds.after, PROJECTION, id_="bob")


def test_an_application_holds_what_was_sent() -> None:
    assert after(SUBMITTED) == MerchantApplication(
        merchant="bob",
        status="submitted",
        registration="HRB 1",
        documents=[{"kind": "identity", "reference": "doc-1"}],
        submitted_at=NOON,
        updated_at=at(1),
    )


@pytest.mark.parametrize(
    ("events", "status", "entry"),
    [
        ((CHECKED,), "submitted", "entry-1"),
        ((CHECKED, ASKED), "in_review", "entry-1"),
        ((CHECKED, ASKED, ACTIVATED), "active", "entry-1"),
        ((CHECKED, ASKED, *TURNED_DOWN), "withdrawn", ""),
    ],
)
def test_its_status_is_that_of_the_last_event(
    events: tuple[Event, ...], status: str, entry: str
) -> None:
    row = after(SUBMITTED, *events)

    assert (row.status, row.entry) == (status, entry)


def test_papers_that_are_missing_are_told() -> None:
    row = after(ApplicationIncomplete(merchant=BOB, missing=("bank_account",)))

    assert (row.status, row.reason) == ("incomplete", "documents are missing: bank account")


def test_what_the_registry_refused_is_told_until_the_next_application() -> None:
    refused = RegistryRefused(merchant=BOB, registration="HRB 1", code="unknown")
    turned_down = after(SUBMITTED, refused, ApplicationWithdrawn(merchant=BOB))

    assert (turned_down.status, turned_down.reason) == (
        "withdrawn",
        "the registry says no: unknown",
    )
    assert after(SUBMITTED, refused, ApplicationWithdrawn(merchant=BOB), SUBMITTED).reason == ""


def test_an_approval_without_an_application_is_out_of_place() -> None:
    with pytest.raises(OutOfPlace):
        after(ASKED)
