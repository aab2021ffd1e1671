"""What the OpenAPI document shows of the shop in the library's operations."""

from __future__ import annotations

from typing import Final

from handrail.http.api_examples import ApiExamples

API_EXAMPLES: Final = ApiExamples(
    path="/orders/ord-7d4k2m9q",
    problem="unknown-merchant",
    streams=(
        "Oldest first. A stream is `category-id`: `order-…`, `payment-…`, `saga-…`, `credit-` and"
        " the\ncustomer, `merchant-` and the merchant, `stock-` and `merchant:sku`."
    ),
    retry={
        "id": "int-7",
        "kind": "retry",
        "step": "BookShipment",
        "actor": "ops@example.com",
        "reason": "the carrier is back",
    },
    correct={
        "id": "int-8",
        "kind": "correct",
        "step": "BookShipment",
        "correction": {"ship_to": "address-2"},
        "reason": "the customer has moved",
    },
    resolve={
        "id": "int-9",
        "kind": "resolve",
        "step": "BookShipment",
        "evidence": "booked by telephone, number 4711, see ticket 88",
        "reason": "the carrier's system is down until Monday",
    },
    webhook_endpoint={
        "merchant": "m-1",
        "url": "https://hooks.example.org/handrail",
        "events": ["ordering.OrderPlaced.v1"],
    },
    retry_many={
        "filter": {"step": "BookShipment", "failure": "503"},
        "kind": "retry",
        "reason": "the carrier is back",
        "dry_run": True,
    },
)
