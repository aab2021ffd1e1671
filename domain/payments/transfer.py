"""The transfer of a merchant's payout by the bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from domain.identifiers import MerchantId
from domain.payments.commands import TransferCommand
from domain.payments.events import PayoutTransferred, TransferDeclined, TransferEvent
from handrail.errors import ContentDiffers, NotPositive, OutsideAnswerMissing
from handrail.kernel import Money
from handrail.replies import Accepted, Declined

CATEGORY: Final = "transfer"


@dataclass(frozen=True)
class Transfer:
    """`merchant` and `amount` are None until the bank has transferred something."""

    status: Literal["none", "declined", "transferred"] = "none"
    merchant: MerchantId | None = None
    amount: Money | None = None


def evolve(transfer: Transfer, event: TransferEvent) -> Transfer:
    match event:
        case PayoutTransferred(merchant=merchant, amount=amount):
            return Transfer("transferred", merchant, amount)
        case TransferDeclined():
            return replace(transfer, status="declined")
        case _:
            assert_never(event)


def decide(command: TransferCommand, transfer: Transfer) -> Sequence[TransferEvent]:
    payout, merchant, amount = command.payout, command.merchant, command.amount
    if amount.amount <= 0:
        raise NotPositive(str(amount))
    if transfer.status == "transferred":
        if (transfer.merchant, transfer.amount) != (merchant, amount):
            raise ContentDiffers(f"{payout} took {transfer.amount} to {transfer.merchant}")
        return []
    match command.reply:
        case Accepted(reference=reference):
            return [
                PayoutTransferred(
                    payout=payout, merchant=merchant, amount=amount, transfer=reference
                )
            ]
        case Declined(code=code):
            return [TransferDeclined(payout=payout, merchant=merchant, amount=amount, code=code)]
        case None:
            raise OutsideAnswerMissing(payout)
