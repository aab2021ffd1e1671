"""DBOS: a workflow with as many steps as a checkout has, each of which inserts its events.

The events are rows of one table, those of a step in one statement; there is no expected version, no
outbox, and no event of the step itself beside them, since DBOS keeps its own journal of steps, in
the same database. A step writes through psycopg, which costs less than DBOS's own datasource.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from dbos import DBOS, DBOSConfig, SetWorkflowID

from benchmarks.contenders.orders import customer, merchant, sku
from benchmarks.contenders.turns import Saga, contend
from handrail.eventstore.pool import Pool, open_pool

STEPS: Final[tuple[tuple[str, str], ...]] = (
    ("order", "OrderPlaced"),
    ("stock", "StockReserved"),
    ("credit", "CreditHeld"),
    ("payment", "PaymentAuthorised"),
    ("payment", "PaymentCaptured"),
    ("order", "OrderConfirmed"),
    ("credit", "CreditConsumed"),
    ("merchant", "PayableAccrued"),
    ("plan", "PlanOpened"),
    ("shipment", "ShipmentBooked"),
)
"""The streams and events of a checkout."""

_SIDE_BY_SIDE: Final = (1, 2)

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS dbos_events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text NOT NULL,
    type text NOT NULL,
    schema smallint NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamptz DEFAULT clock_timestamp() NOT NULL
);
CREATE INDEX IF NOT EXISTS dbos_events_stream_idx ON dbos_events (stream, position);
"""


class Steps:
    """DBOS registers functions by their names, so these are made once in a process."""

    def __init__(self, pool: Pool) -> None:
        @DBOS.step(name="insert")
        async def insert(number: int, step: int) -> str:
            category, type_ = STEPS[step]
            order = f"order-{number}"
            data = {
                "order": order,
                "merchant": merchant(number),
                "customer": customer(number),
                "sku": sku(number),
                "amount": {"amount": 10_00, "currency": "EUR"},
            }
            metadata = {"actor": "customer", "correlation": order, "step": type_}
            async with pool.connection() as connection:
                await connection.execute(
                    "INSERT INTO dbos_events (stream, type, schema, data, metadata)"
                    " VALUES (%b, %b, %s, %s::text::jsonb, %s::text::jsonb)",
                    (
                        f"{category}-{order}",
                        type_,
                        1,
                        orjson.dumps(data).decode(),
                        orjson.dumps(metadata).decode(),
                    ),
                )
            return type_

        @DBOS.workflow(name="checkout")
        async def checkout(number: int) -> None:
            await insert(number, 0)
            await asyncio.gather(*(insert(number, step) for step in _SIDE_BY_SIDE))
            for step in range(_SIDE_BY_SIDE[-1] + 1, len(STEPS)):
                await insert(number, step)

        self.checkout: Any = checkout


@asynccontextmanager
async def open_workflows(database: str, _: str) -> AsyncIterator[Saga]:
    config: DBOSConfig = {
        "name": "checkout",
        "system_database_url": database.replace("postgresql://", "postgresql+psycopg://"),
        "log_level": "ERROR",
        "console_log_level": "ERROR",
        "enable_otlp": False,
    }
    async with open_pool(database, size=16) as pool:
        async with pool.connection() as connection:
            await connection.execute(_TABLES)
        DBOS(config=config)
        steps = Steps(pool)
        DBOS.launch()

        async def saga(number: int) -> None:
            with SetWorkflowID(f"order-{number}"):
                handle = await DBOS.start_workflow_async(steps.checkout, number)
            await handle.get_result()

        try:
            yield saga
        finally:
            await asyncio.to_thread(DBOS.destroy)


if __name__ == "__main__":
    contend(open_workflows)
