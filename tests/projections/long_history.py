"""A merchant with as many events as a test wants, written by one statement."""

from __future__ import annotations

from typing import Final

import psycopg

from domain.identifiers import MerchantId, OrderId
from domain.settlement.events import MerchantAccountOpened, PayableAccrued
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import ANY_VERSION, EventStore
from runtime.app import HANDRAIL
from tests.controls import eur

_MORE: Final = """
WITH first AS (SELECT * FROM events WHERE stream = %(stream)s AND version = 2),
more AS (
    INSERT INTO events (stream, version, shard, type, schema, data, metadata)
    SELECT stream, n, shard, type, schema, data, metadata
    FROM first, generate_series(3, %(events)s) AS n
    RETURNING position, txid, shard
)
INSERT INTO outbox (position, txid, shard) SELECT position, txid, shard FROM more
"""


async def a_merchant_with(url: str, events: int, merchant: str = "long") -> str:
    """Answers the merchant's id: an account that was opened, and then one order after the other."""
    id_, stream = MerchantId(merchant), f"merchant-{merchant}"
    opened = MerchantAccountOpened(merchant=id_, currency="EUR", fee_bps=100)
    accrued = PayableAccrued(
        merchant=id_, order=OrderId("o"), gross=eur(100), fee=eur(1), balance=eur(99)
    )
    async with open_pool(url, size=1) as pool:
        await EventStore(pool, HANDRAIL.codec).append([(stream, ANY_VERSION, [opened, accrued])])
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        await owner.execute(_MORE, {"stream": stream, "events": events})
        await owner.execute(
            "UPDATE streams SET version = %s WHERE name = %s",
            (events, stream),
        )
        await owner.execute("ANALYZE events")
    return merchant
