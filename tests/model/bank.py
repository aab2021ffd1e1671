"""A bank as a ledger in memory: what it holds, took and sent, under which key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from handrail.kernel import Money
from handrail.replies import Accepted, Declined, Reply
from tests.model.driving import pause

Kind = Literal["hold", "capture", "payout", "charge", "refund"]


@dataclass(frozen=True)
class Entry:
    """`held` is, of a capture, the key under which what it took was held. `amount` is kept of what
    is charged or refunded.
    """

    key: str
    kind: Kind
    standing: bool = True
    held: str = ""
    amount: Money | None = None


@dataclass(frozen=True)
class Ledger:
    """`replies` are kept for ever, as is what was `voided`, arrived or not."""

    entries: tuple[Entry, ...] = ()
    replies: frozenset[tuple[str, str]] = frozenset()
    voided: frozenset[str] = frozenset()

    def standing(self, kind: Kind) -> tuple[Entry, ...]:
        return tuple(one for one in self.entries if one.kind == kind and one.standing)

    @property
    def fingerprint(self) -> int:
        return hash(self)


class MemoryBank:
    """The port `activities.payments.gateway.Bank`; says no while it is told to `decline`, to
    everything or to what is in `declined`.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.declines = False
        self.declined: frozenset[Kind] = frozenset()

    async def authorise(self, *, key: str, order: str, amount: Money, card: str) -> Reply:
        return await self._ask(key, "hold")

    async def capture(self, *, key: str, order: str, amount: Money) -> Reply:
        return await self._ask(key, "capture")

    async def pay_out(self, *, key: str, payout: str, merchant: str, amount: Money) -> Reply:
        return await self._ask(key, "payout")

    async def charge(self, *, key: str, order: str, amount: Money, card: str) -> Reply:
        return await self._ask(key, "charge", amount)

    async def refund(self, *, key: str, order: str, refund_id: str, amount: Money) -> Reply:
        return await self._ask(key, "refund", amount)

    async def void(self, *, key: str, subject: str, closes: str) -> Reply:
        await pause("bank")
        if (before := self._said(key)) is not None:
            return before
        if self.declines:
            return self._say(key, Declined(code="declined"))
        # What was captured is what had been held: both go back together.
        gone = {closes, *(one.held for one in self.ledger.entries if one.key == closes)} - {""}
        entries = tuple(
            replace(one, standing=False) if gone & {one.key, one.held} else one
            for one in self.ledger.entries
        )
        voided = self.ledger.voided | {closes}
        self.ledger = replace(self.ledger, entries=entries, voided=voided)
        return self._say(key, Accepted(reference=key))

    async def _ask(self, key: str, kind: Kind, amount: Money | None = None) -> Reply:
        await pause("bank")
        if (before := self._said(key)) is not None:
            return before
        if key in self.ledger.voided:
            return self._say(key, Declined(code="voided"))
        held = ""
        if kind == "capture":
            taken = {one.held for one in self.ledger.entries if one.kind == "capture"}
            holds = [one.key for one in self.ledger.standing("hold") if one.key not in taken]
            if not holds:
                return self._say(key, Declined(code="nothing-held"))
            held = holds[-1]
        if self.declines or kind in self.declined:
            return self._say(key, Declined(code="declined"))
        entry = Entry(key, kind, held=held, amount=amount)
        self.ledger = replace(self.ledger, entries=(*self.ledger.entries, entry))
        return self._say(key, Accepted(reference=key))

    def _said(self, key: str) -> Reply | None:
        for known, code in self.ledger.replies:
            if known == key:
                return Declined(code=code) if code else Accepted(reference=key)
        return None

    def _say(self, key: str, reply: Reply) -> Reply:
        code = reply.code if isinstance(reply, Declined) else ""
        self.ledger = replace(self.ledger, replies=self.ledger.replies | {(key, code)})
        return reply
