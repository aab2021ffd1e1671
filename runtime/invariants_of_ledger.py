"""What must be true of the ledger that finance keeps from events alone, by whatever way they come.

It is held against the aggregates' own figures, of those merchants and plans of which finance has
handled every event: one that is behind says nothing wrong, only less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from domain.payments.plan import InstalmentPlan
from domain.settlement.merchant_account import MerchantAccount
from messaging import finance
from messaging.envelope import id_of
from messaging.ledger import FEES_RECEIVABLE, PAYABLE, RECEIVABLE
from runtime.evidence import Evidence

Balances = Mapping[tuple[str, str], int]


def ledger_agrees(evidence: Evidence) -> Iterator[str]:
    """Debits are credits, and merchants are owed and customers owe what the aggregates say."""
    yield from _balanced(evidence)
    balances: Counter[tuple[str, str]] = Counter()
    for line in evidence.ledger:
        balances[line.account, line.party] += line.amount
    behind = _behind(evidence)
    accounts: Mapping[str, MerchantAccount] = evidence.of("merchant")
    for merchant, account in accounts.items():
        owed = -balances[PAYABLE, merchant]
        if f"merchant-{merchant}" not in behind and owed != account.balance.amount:
            yield f"merchant {merchant}: {account.balance} owed, but finance's ledger says {owed}"
    plans: Mapping[str, InstalmentPlan] = evidence.of("plan")
    for order, plan in plans.items():
        if f"plan-{order}" not in behind:
            yield from _same(order, plan, balances)


def _same(order: str, plan: InstalmentPlan, balances: Balances) -> Iterator[str]:
    for what, account, figure in (
        ("principal", RECEIVABLE, plan.outstanding),
        ("fees", FEES_RECEIVABLE, plan.fees_due),
    ):
        found = balances[account, order]
        if found != figure.amount:
            yield f"plan {order}: {figure} of {what} due, but finance's ledger says {found}"


def _balanced(evidence: Evidence) -> Iterator[str]:
    sums: Counter[tuple[str, str]] = Counter()
    for line in evidence.ledger:
        sums[line.event, line.currency] += line.amount
        if line.event not in evidence.handled_by_finance:
            yield f"ledger: there is an entry of {line.event}, which finance has not handled"
    for (event, currency), amount in sums.items():
        if amount:
            yield f"ledger: the entry of {event} is off by {amount} {currency}"


def _behind(evidence: Evidence) -> set[str]:
    """The streams of which finance has not handled every event that it wants."""
    return {
        one.recorded.stream
        for one in evidence.stored
        if one.recorded.type in finance.CONSUMER.types
        and id_of(one.recorded.stream, one.recorded.version) not in evidence.handled_by_finance
    }


def nothing_parked(evidence: Evidence) -> Iterator[str]:
    """No consumer has messages that wait for a person."""
    for consumer, messages in evidence.parked_messages.items():
        yield f"{consumer}: {messages} messages wait in parked_messages"
