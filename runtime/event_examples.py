"""What the examples in the contracts of the shop's events show."""

from __future__ import annotations

from typing import Final

from handrail.messaging.contracts.examples import Examples

EXAMPLES: Final = Examples(
    stream="order-order-3fa9c1",
    meanings={
        "SagaDecided": "The answer the customer was waiting for; the rest goes on behind it."
    },
    fields={
        "order": "order-3fa9c1",
        "customer": "customer-7be204",
        "merchant": "merchant-51",
        "sku": "cup",
        "saga": "order-3fa9c1",
        "saga_type": "Checkout",
        "step": "HoldCredit",
        "steps": ("PlaceOrder", "ReserveStock", "HoldCredit"),
        "outcome": "CreditHeld",
        "because": "CreditRefused",
        "reason": "25.00 EUR over the credit limit",
        "cause": "HTTP 503",
        "actor": "ann",
        "return_id": "return-90d1",
        "payout": "payout-2026-03-02-merchant-51",
        "intervention": "intervention-8c2e",
        "code": "insufficient-funds",
        "currency": "EUR",
        "card": "card-token-1881",
        "run": "0195a2f4-7c1e-7d55-9a40-2f0b6d9a4c11",
        "correction": "",
        "evidence": "",
        "said": "",
        "missing": ("identity",),
        "registration": "HRB 12345",
        "kind": "retry",
        "proposal": "0195a2f4-7c1e-7d55-9a40-2f0b6d9a4c12",
        "action": "PUT /customers/customer-7be204/limit",
        "content": '{"limit":{"amount":2500000,"currency":"EUR"}}',
        "proposed_by": "person:ann",
        "approved_by": "person:bob",
    },
)
