"""The appends that are measured: what a step of a saga stores, for our store and as plain rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

import orjson

from domain.credit.events import CreditConsumed, CreditHeld
from domain.identifiers import CustomerId, OrderId
from handrail.activities.command_handler import metadata_of
from handrail.eventstore.store import shard_of
from handrail.kernel import Event, Money
from handrail.sagas.step_keys import StepContext, StepKey
from runtime.app import HANDRAIL

OPENED_ON: Final = datetime.now(UTC).date()
ANSWER: Final = {"status": "done", "outcome": "CreditConsumed", "reason": ""}


class Row(NamedTuple):
    stream: str
    version: int
    shard: int
    type: str
    schema: int
    data: str
    metadata: str


@dataclass(frozen=True)
class Append:
    """So many events of one stream that is at `expected`, asked for by a step of its own."""

    number: str
    expected: int
    count: int = 2

    @property
    def stream(self) -> str:
        return f"credit-{self.number}"

    @cached_property
    def events(self) -> Sequence[Event]:
        shown: dict[str, Any] = {
            "customer": CustomerId(self.number),
            "order": OrderId(f"order-of-{self.number}"),
            "amount": Money(25_00, "EUR"),
            "held": Money(100_00, "EUR"),
            "used": Money(25_00, "EUR"),
        }
        return [(CreditHeld, CreditConsumed)[n % 2](**shown) for n in range(self.count)]

    @cached_property
    def context(self) -> StepContext:
        saga = f"checkout-{self.number}"
        key = StepKey(saga=saga, attempt=1, step=f"After{self.expected}", opened_on=OPENED_ON)
        return StepContext(key=key, actor="customer c1", tenant="m1")

    @cached_property
    def rows(self) -> Sequence[Row]:
        metadata = orjson.dumps(metadata_of(self.context, HANDRAIL.tenant)).decode()
        encoded = [HANDRAIL.codec.encode(event) for event in self.events]
        return [
            Row(
                self.stream,
                self.expected + number,
                shard_of(self.stream),
                one.type,
                one.schema,
                one.data.decode(),
                metadata,
            )
            for number, one in enumerate(encoded, start=1)
        ]
