"""Every field of every command is bounded, and a person may correct few of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.identifiers import MerchantId, OrderId, PayoutId
from domain.payments.commands import AuthoriseDownPayment, CollectInstalment, TransferPayout
from domain.settlement.commands import Document, SubmitApplication
from domain.shipping.commands import BookShipment
from handrail.command_fields import bounds_of, why_not_correctable, wrong_value
from handrail.kernel import Command, Money
from runtime.app import HANDRAIL

BOOKING = BookShipment(
    order=OrderId("o-1"), merchant=MerchantId("m-1"), ship_to="addr_ok", parcels=1
)
APPLICATION = SubmitApplication(
    merchant=MerchantId("m-1"),
    registration="reg_ok",
    documents=(Document(kind="identity", reference="doc-1"),),
    submitted_at=datetime(2026, 3, 2, tzinfo=UTC),
)
MAY_BE_CORRECTED = {
    "AuthoriseDownPayment": {"card"},
    "BookShipment": {"parcels", "ship_to"},
    "CheckRegistry": {"registration"},
    "CollectInstalment": {"card"},
    "CompleteOrder": {"completed_at"},
    "OpenPlan": {"card"},
    "RecordDelivery": {"at"},
    "RecordDispatch": {"at"},
    "RecordLoss": {"at", "cause"},
    "SettleEarly": {"card"},
    "SubmitApplication": {"documents", "registration"},
}


@pytest.mark.parametrize("command", HANDRAIL.commands, ids=lambda command: command.__name__)
def test_every_field_has_a_bound(command: type[Command]) -> None:
    named = {path[0] for path, _ in bounds_of(command)}
    assert named == {field.name for field in fields(command)}


def test_a_field_without_a_bound_is_noticed() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Paint(Command):
        colour: str

    with pytest.raises(LookupError, match="colour"):
        list(bounds_of(Paint))


@pytest.mark.parametrize("command", HANDRAIL.commands, ids=lambda command: command.__name__)
def test_only_what_moves_no_money_and_no_goods_may_be_corrected(command: type[Command]) -> None:
    found = {
        field.name for field in fields(command) if why_not_correctable(command, field.name) is None
    }
    assert found == MAY_BE_CORRECTED.get(command.__name__, set())


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (TransferPayout, "amount"),
        (AuthoriseDownPayment, "amount"),
    ],
)
def test_the_operator_reads_that_money_takes_a_second_person(
    command: type[Command], field: str
) -> None:
    assert "second person" in (why_not_correctable(command, field) or "")


@pytest.mark.parametrize(
    ("field", "value"), [("parcels", 0), ("parcels", 2**63), ("ship_to", "x" * 65)]
)
def test_a_value_beyond_its_bounds_is_named(field: str, value: Any) -> None:
    assert wrong_value(BOOKING, field) is None
    wrong = wrong_value(replace(BOOKING, **{field: value}), field)
    assert wrong is not None
    assert wrong[0] == (field,)


def test_a_card_is_corrected_to_what_a_request_may_name() -> None:
    asked = CollectInstalment(order=OrderId("o-1"), number=1, amount=Money(25_00, "EUR"), card="c")
    assert wrong_value(asked, "card") is None
    assert wrong_value(replace(asked, card="4111111111111111"), "card") is not None


def test_a_value_deep_within_a_field_is_named() -> None:
    assert wrong_value(APPLICATION, "documents") is None
    paper = Document(kind="identity", reference="4111111111111111")
    wrong = wrong_value(replace(APPLICATION, documents=(paper,)), "documents")
    assert wrong is not None
    assert wrong[0] == ("documents", 0, "reference")


def test_an_amount_is_bounded_too() -> None:
    payout = TransferPayout(
        payout=PayoutId("p-1"), merchant=MerchantId("m-1"), amount=Money(2**63, "EUR")
    )
    wrong = wrong_value(payout, "amount")
    assert wrong is not None
    assert wrong[0] == ("amount", "amount")
