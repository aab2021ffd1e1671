"""A correction that the saga's stream keeps is read back as it was meant, and never as more."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.identifiers import MerchantId, OrderId
from domain.payments.commands import CollectInstalment
from domain.settlement.commands import Document, SubmitApplication
from domain.shipping.commands import BookShipment, RecordLoss
from handrail.kernel import Command
from handrail.sagas.corrections import as_corrected, in_words
from tests.controls import NOON, eur
from tests.temporal import DATA_CONVERTER

CONVERTER = DATA_CONVERTER.payload_converter
BOOKING = BookShipment(order=OrderId("o"), merchant=MerchantId("m"), ship_to="addr_1", parcels=1)
LOSS = RecordLoss(order=OrderId("o"), at=NOON, cause="fire")
PAPERS = SubmitApplication(
    merchant=MerchantId("m"),
    registration="reg_1",
    documents=(Document(kind="identity", reference="doc-1"),),
    submitted_at=NOON,
)
CORRECTED = [
    (BOOKING, replace(BOOKING, ship_to="addr_2", parcels=3)),
    (LOSS, replace(LOSS, at=NOON + timedelta(hours=1), cause="flood")),
    (PAPERS, replace(PAPERS, documents=(Document(kind="identity", reference="doc-2"),))),
]


@pytest.mark.parametrize(("asked", "corrected"), CORRECTED, ids=["texts", "moments", "lists"])
def test_what_was_corrected_is_read_back(asked: Command, corrected: Command) -> None:
    told = in_words(asked, corrected, CONVERTER)
    assert as_corrected(asked, [told], CONVERTER) == corrected


def test_of_two_corrections_the_later_one_stands() -> None:
    second, third = replace(BOOKING, ship_to="addr_2"), replace(BOOKING, ship_to="addr_3")
    told = [in_words(BOOKING, second, CONVERTER), in_words(second, third, CONVERTER)]
    assert as_corrected(BOOKING, told, CONVERTER) == third


def test_what_the_person_did_not_see_is_not_corrected() -> None:
    told = in_words(BOOKING, replace(BOOKING, ship_to="addr_2"), CONVERTER)
    another = replace(BOOKING, ship_to="addr_9")
    assert as_corrected(another, [told], CONVERTER) == another


@pytest.mark.parametrize(
    "words",
    [
        {"documents": {"was": str(PAPERS.documents), "is": "(Document(kind='identity'),)"}},
        {"registration": {"was": "reg_1", "is": "x" * 200_000}},
        {"merchant": {"was": "m", "is": "another"}},
        {"unheard": {"was": 1, "is": 2}},
    ],
    ids=["of older code", "beyond its bound", "the subject", "no field"],
)
def test_what_is_no_correction_changes_nothing(words: dict[str, object]) -> None:
    assert as_corrected(PAPERS, [json.dumps(words)], CONVERTER) == PAPERS


def test_money_is_not_corrected() -> None:
    asked = CollectInstalment(order=OrderId("o"), number=1, amount=eur(100), card="card_1")
    told = in_words(asked, replace(asked, amount=eur(1_000_000)), CONVERTER)
    assert as_corrected(asked, [told], CONVERTER) == asked
