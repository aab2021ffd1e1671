"""The accounts of a simulated bank: what it holds, took, gave back and paid out."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Literal, TypeVar, assert_never

from handrail.simulators.fault_injection import Behaviour, Declines, behaviour
from handrail.simulators.request_journal import Answer, approved, declined, reference_of
from handrail.simulators.webhook_sender import News, WebhookSender
from runtime.simulators.bank_requests import (
    AnyRequest,
    Authorise,
    Capture,
    Charge,
    PayOut,
    Refund,
    Void,
)

State = Literal["authorised", "captured", "voided", "refunded", "paid", "reversed"]
Stage = Literal["authorise", "capture", "void", "charge", "refund"]

STAGES = ("authorise", "capture", "void", "charge", "refund")
TAKEN_BACK: dict[State, State] = {
    "authorised": "voided",
    "captured": "refunded",
    "paid": "reversed",
}


@dataclass(kw_only=True)
class Entry(ABC):
    """`card` is the customer's, and empty for a payout."""

    key: str
    amount: int
    currency: str
    reference: str
    card: str
    state: State

    @property
    @abstractmethod
    def belongs_to(self) -> str:
        """What the money was asked for by: each kind of account says by which of its fields."""

    def in_ledger(self) -> dict[str, object]:
        """Without the card: others read it."""
        return {name: value for name, value in asdict(self).items() if name != "card"}


@dataclass(kw_only=True)
class OfOrder(Entry):
    """An authorisation, or a charge."""

    order: str

    @property
    def belongs_to(self) -> str:
        return self.order


@dataclass(kw_only=True)
class Refunded(OfOrder):
    refund_id: str


@dataclass(kw_only=True)
class PaidOut(Entry):
    payout: str
    merchant: str

    @property
    def belongs_to(self) -> str:
        return self.payout


EntryT = TypeVar("EntryT", bound=Entry)


class BankBook:
    def __init__(self, teller: WebhookSender) -> None:
        self._teller = teller
        self._cards: dict[str, str] = {}
        self._authorisations: defaultdict[str, list[OfOrder]] = defaultdict(list)
        self._charges: defaultdict[str, list[OfOrder]] = defaultdict(list)
        self._refunds: defaultdict[str, list[Refunded]] = defaultdict(list)
        self._payouts: defaultdict[str, list[PaidOut]] = defaultdict(list)
        self._by_key: dict[str, Entry] = {}
        self._closed_keys: set[str] = set()
        self._voided_orders: set[str] = set()
        self._declines = Declines()

    def arrives(self, asked: AnyRequest) -> Behaviour:
        if isinstance(asked, PayOut):
            return behaviour_of_merchant(asked.merchant)
        if isinstance(asked, Authorise | Charge):
            self._cards[asked.order] = asked.card
        return behaviour_of_card(self._cards.get(asked.order), asked.stage) or Behaviour()

    def lands(  # noqa: PLR0911  # one arm a request
        self, key: str, asked: AnyRequest
    ) -> Answer:
        if key in self._closed_keys:
            return declined("voided")
        match asked:
            case Authorise():
                return self._authorise(key, asked)
            case Capture():
                return self._capture(key, asked)
            case Charge():
                return self._charge(key, asked)
            case Refund():
                return self._refund(key, asked)
            case PayOut():
                return self._pay_out(key, asked)
            case Void():
                return self._void(asked)
            case _:
                assert_never(asked)

    def ledger(self) -> dict[str, object]:
        authorisations, charges = list(_all(self._authorisations)), list(_all(self._charges))
        totals: defaultdict[State, Counter[str]] = defaultdict(Counter)
        for one in (*authorisations, *charges):
            totals[one.state][one.currency] += one.amount
        return {
            "authorisations": [one.in_ledger() for one in authorisations],
            "charges": [one.in_ledger() for one in charges],
            "refunds": [one.in_ledger() for one in _all(self._refunds)],
            "payouts": [one.in_ledger() for one in _all(self._payouts)],
            "held": totals["authorised"],
            "captured": totals["captured"],
            "refunded": totals["refunded"],
        }

    def accounts(self) -> Iterable[str]:
        return chain(self._authorisations, self._charges, self._refunds, self._payouts)

    def entries_of(self, about: str) -> Mapping[str, list[dict[str, object]]]:
        kinds: Mapping[str, Mapping[str, Sequence[Entry]]] = {
            "authorisations": self._authorisations,
            "charges": self._charges,
            "refunds": self._refunds,
            "payouts": self._payouts,
        }
        return {
            name: [one.in_ledger() for one in kind.get(about, ())] for name, kind in kinds.items()
        }

    def _authorise(self, key: str, asked: Authorise) -> Answer:
        if no := self._no_to_card(asked):
            return declined(no)
        held = self._of_order(key, asked, "authorisation", "authorised")
        self._authorisations[asked.order].append(held)
        return approved(held.reference)

    def _charge(self, key: str, asked: Charge) -> Answer:
        if no := self._no_to_card(asked):
            return declined(no)
        taken = self._of_order(key, asked, "charge", "captured")
        self._charges[asked.order].append(taken)
        return approved(taken.reference)

    def _no_to_card(self, asked: Authorise | Charge) -> str:
        """Empty where the card is good for it."""
        self._cards[asked.order] = asked.card
        given = behaviour_of_card(asked.card, asked.stage)
        if given is None:
            return "unknown_card"
        declined = self._declines.declined(given, asked.order, asked.stage)
        return "insufficient_funds" if declined else ""

    def _of_order(self, key: str, asked: Authorise | Charge, kind: str, state: State) -> OfOrder:
        entry = OfOrder(
            order=asked.order,
            key=key,
            amount=asked.amount,
            currency=asked.currency,
            reference=reference_of(kind, key),
            card=asked.card,
            state=state,
        )
        self._by_key[key] = entry
        return entry

    def _capture(self, key: str, asked: Capture) -> Answer:
        held = self._held(asked.order)
        if held is None:
            return declined(self._why_nothing_is_held(asked.order))
        if (asked.amount, asked.currency) != (held.amount, held.currency):
            return declined("amount_differs")
        given = behaviour_of_card(held.card, "capture")
        if self._declines.declined(given, asked.order, "capture"):
            return declined("capture_declined")
        held.state = "captured"
        self._by_key[key] = held
        self._teller.schedule(asked.order, key, _news_of_capture(held))
        return approved(reference_of("capture", key))

    def _refund(self, key: str, asked: Refund) -> Answer:
        refunds, card = self._refunds[asked.order], self._cards.get(asked.order, "")
        if any(one.refund_id == asked.refund_id and one.state == "paid" for one in refunds):
            return declined("already_refunded")
        if asked.amount > self._taken(asked.order, asked.currency):
            return declined("over_captured")
        if self._declines.declined(behaviour_of_card(card, "refund"), asked.order, "refund"):
            return declined("refund_declined")
        refund = Refunded(
            order=asked.order,
            refund_id=asked.refund_id,
            key=key,
            amount=asked.amount,
            currency=asked.currency,
            reference=reference_of("refund", key),
            card=card,
            state="paid",
        )
        refunds.append(refund)
        self._by_key[key] = refund
        data = {"order": refund.order, "amount": _money(refund), "refund": refund.reference}
        self._teller.schedule(refund.order, key, [News(type="payment.refunded", data=data)])
        return approved(refund.reference)

    def _pay_out(self, key: str, asked: PayOut) -> Answer:
        payouts = self._payouts[asked.payout]
        if any(one.state == "paid" for one in payouts):
            return declined("already_paid")
        if self._declines.declined(behaviour_of_merchant(asked.merchant), asked.merchant, "payout"):
            return declined("account_closed")
        payout = PaidOut(
            payout=asked.payout,
            merchant=asked.merchant,
            key=key,
            amount=asked.amount,
            currency=asked.currency,
            reference=reference_of("payout", key),
            card="",
            state="paid",
        )
        payouts.append(payout)
        self._by_key[key] = payout
        data = {"payout": payout.payout, "merchant": payout.merchant, "amount": _money(payout)}
        self._teller.schedule(payout.payout, key, [News(type="payout.paid", data=data)])
        return approved(payout.reference)

    def _void(self, asked: Void) -> Answer:
        found = self._by_key.get(asked.closes)
        if found is not None and found.belongs_to != asked.order:
            return declined("other_order")
        given = behaviour_of_card(found.card if found else None, "void")
        if self._declines.declined(given, asked.order, "void"):
            return declined("void_declined")
        self._closed_keys.add(asked.closes)
        self._teller.withdraw(asked.closes)
        self._voided_orders.add(asked.order)
        if found is not None:
            found.state = TAKEN_BACK.get(found.state, found.state)
        return approved(reference_of("void", asked.closes))

    def _taken(self, order: str, currency: str) -> int:
        """What the customer has paid for the order, and was not given back."""
        taken = (*self._authorisations.get(order, ()), *self._charges.get(order, ()))
        return _sum(taken, "captured", currency) - _sum(
            self._refunds.get(order, ()), "paid", currency
        )

    def _held(self, order: str) -> OfOrder | None:
        newest_first = reversed(self._authorisations.get(order, []))
        return next((one for one in newest_first if one.state == "authorised"), None)

    def _why_nothing_is_held(self, order: str) -> str:
        if any(one.state == "captured" for one in self._authorisations.get(order, [])):
            return "already_captured"
        return "voided" if order in self._voided_orders else "nothing_authorised"


def behaviour_of_card(card: str | None, stage: Stage) -> Behaviour | None:
    return behaviour(card or "card_ok", stage=stage, stages=STAGES)


def behaviour_of_merchant(merchant: str) -> Behaviour:
    found = re.search(r"payout_[a-z]+(_[0-9.]+)?", merchant)
    given = behaviour(found[0], stage="payout", stages=("payout",)) if found else None
    return given or Behaviour()


def _news_of_capture(held: OfOrder) -> Sequence[News]:
    data = {"order": held.order, "amount": _money(held)}
    news = [News(type="payment.captured", data=data)]
    if held.card == "card_disputed":
        dispute = reference_of("dispute", held.key)
        news.append(News(type="payment.disputed", data={**data, "dispute": dispute}))
    return news


def _money(entry: Entry) -> dict[str, object]:
    return {"amount": entry.amount, "currency": entry.currency}


def _sum(entries: Iterable[Entry], state: State, currency: str) -> int:
    return sum(one.amount for one in entries if (one.state, one.currency) == (state, currency))


def _all(entries: dict[str, list[EntryT]]) -> Iterator[EntryT]:
    return (one for several in entries.values() for one in several)
