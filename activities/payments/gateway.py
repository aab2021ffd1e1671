"""The bank, as Handrail needs it, and the bank over HTTP."""

from __future__ import annotations

from typing import Protocol

from handrail.activities.http_gateway import HttpGateway, wire_key
from handrail.kernel import Money
from handrail.replies import Reply


class Bank(Protocol):
    """What Handrail demands of a payment provider.

    - Every request carries an idempotency key. The same key with the same content answers what it
      answered first, and does nothing more: also while the first request is still under way, when
      the second waits, or is told to come again. The same key with another content is an error.
    - An answer is definite: accepted, or declined with a code. Anything else is no answer, and is
      raised: `OutsideUnavailable` and `OutsideAnswerUnreadable` (ask again with the same key),
      `OutsideKeyReused` (never ask again).
    - A void outlives what it voids: it holds against requests that the bank has yet to receive.
    """

    async def authorise(self, *, key: str, order: str, amount: Money, card: str) -> Reply:
        """Hold the amount. A later attempt at the same order comes with a key of its own."""
        ...

    async def capture(self, *, key: str, order: str, amount: Money) -> Reply:
        """Take what was held for the order last. Nothing is taken once it was voided."""
        ...

    async def void(self, *, key: str, subject: str, closes: str) -> Reply:
        """From now on nothing is held under the key `closes`.

        An authorisation that has not arrived yet is declined as `voided` when it does; one that is
        held is released; one that was captured is refunded. `closes` may also name a capture: what
        it took is refunded, and one yet to arrive is declined. The same holds for a charge, which
        is given back, and for a refund and a payout, which are taken back. `subject` is what the
        request was about: an order, or a payout. To void twice changes nothing.
        """
        ...

    async def charge(self, *, key: str, order: str, amount: Money, card: str) -> Reply:
        """Hold and take in one: what is approved was taken."""
        ...

    async def refund(self, *, key: str, order: str, refund_id: str, amount: Money) -> Reply:
        """Give back to the customer a part of what was taken for the order, never more."""
        ...

    async def pay_out(self, *, key: str, payout: str, merchant: str, amount: Money) -> Reply:
        """Send the amount to the merchant's account, which the bank knows."""
        ...


class HttpBank:
    """The bank over HTTP."""

    def __init__(self, bank: HttpGateway) -> None:
        self._bank = bank

    async def authorise(self, *, key: str, order: str, amount: Money, card: str) -> Reply:
        body = {"order": order, "amount": amount.amount, "currency": amount.currency, "card": card}
        return await self._bank.request("/authorisations", key=key, body=body)

    async def capture(self, *, key: str, order: str, amount: Money) -> Reply:
        body = {"order": order, "amount": amount.amount, "currency": amount.currency}
        return await self._bank.request("/captures", key=key, body=body)

    async def void(self, *, key: str, subject: str, closes: str) -> Reply:
        body = {"order": subject, "closes": wire_key(closes)}
        return await self._bank.request("/voids", key=key, body=body)

    async def charge(self, *, key: str, order: str, amount: Money, card: str) -> Reply:
        body = {"order": order, "amount": amount.amount, "currency": amount.currency, "card": card}
        return await self._bank.request("/charges", key=key, body=body)

    async def refund(self, *, key: str, order: str, refund_id: str, amount: Money) -> Reply:
        body = {
            "order": order,
            "refund_id": refund_id,
            "amount": amount.amount,
            "currency": amount.currency,
        }
        return await self._bank.request("/refunds", key=key, body=body)

    async def pay_out(self, *, key: str, payout: str, merchant: str, amount: Money) -> Reply:
        body = {
            "payout": payout,
            "merchant": merchant,
            "amount": amount.amount,
            "currency": amount.currency,
        }
        return await self._bank.request("/payouts", key=key, body=body)
