"""What must be true of the ledger that finance keeps from events alone, by whatever way they come.

It is held against the aggregates' own figures, of those streams of which finance has handled every
event: one that is behind says nothing wrong, only less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from consumers.ledger import FEES_RECEIVABLE, PAYABLE, PAYOUTS, RECEIVABLE, REFUNDS, SALES
from domain.payments.plan import InstalmentPlan
from domain.settlement.merchant_account import MerchantAccount
from handrail.verify.violations import Violation, steps
from runtime.verify.evidence import Evidence
from runtime.verify.orders import ending_of
from workflows import pay_merchant

_SALES: Final = steps("AuthoriseDownPayment", "CapturePayment", "OpenPlan", "AccruePayable")
_REFUNDS: Final = steps("AdjustPlan", "RefundPayment")
_PAYOUTS: Final = steps("PreparePayout", "TransferPayout")


def ledger_agrees(evidence: Evidence) -> Iterator[Violation]:
    """Debits are credits, and merchants are owed and customers owe what the aggregates say."""
    account: MerchantAccount | None = evidence.state("merchant")
    plan: InstalmentPlan | None = evidence.state("plan")
    if account is not None and "merchant" not in evidence.unbooked:
        owed = -evidence.balances.get(PAYABLE, 0)
        if owed != account.balance.amount:
            text = f"merchant {evidence.id}: {account.balance} owed"
            yield Violation(f"{text}, but finance's ledger says {owed}")
    if plan is not None and "plan" not in evidence.unbooked:
        for what, name, figure in (
            ("principal", RECEIVABLE, plan.outstanding),
            ("fees", FEES_RECEIVABLE, plan.fees_due),
        ):
            found = evidence.balances.get(name, 0)
            if found != figure.amount:
                text = f"plan {evidence.id}: {figure} of {what} due"
                yield Violation(f"{text}, but finance's ledger says {found}")


def clearing_accounts_at_zero(evidence: Evidence) -> Iterator[Violation]:
    """Nothing is left on a clearing account of finance for what has ended: sales once a checkout
    has, refunds once the returns have, payouts on their way once the payout has.
    """
    if evidence.unbooked:
        return
    running = any(one.ending is None for one in evidence.sagas.values())
    if ending_of(evidence) is not None:
        yield from _remaining(evidence, SALES, _SALES)
        if not running:
            yield from _remaining(evidence, REFUNDS, _REFUNDS)
    payout = evidence.sagas.get(pay_merchant.saga_id(evidence.id))
    if payout is not None and payout.ending is not None:
        yield from _remaining(evidence, PAYOUTS, _PAYOUTS)


def _remaining(evidence: Evidence, account: str, explaining: frozenset[str]) -> Iterator[Violation]:
    if left := evidence.balances.get(account, 0):
        text = f"{account} of {evidence.id}: {left} is left in finance's ledger"
        yield Violation(text, explaining)
