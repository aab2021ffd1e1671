"""The proof of `handrail verify` over the shop, for tests, demo and benchmarks."""

from __future__ import annotations

from pathlib import Path

from temporalio.client import Client

from handrail.verify import prove as library
from handrail.verify.proof import Proof
from handrail.verify.prove import Step
from runtime.app import HANDRAIL
from runtime.verify.verification import verification_of


async def prove(
    database_url: str,
    bank_url: str | None,
    carrier_url: str | None,
    temporal: Client | None = None,
    step: Step | None = None,
    *,
    feed: bool = False,
    lake: Path | None = None,
) -> Proof:
    """Without a bank, a carrier or a Temporal, what they would have to say is not asked for."""
    of_the_shop = verification_of(bank_url, carrier_url)
    return await library.prove(
        database_url, HANDRAIL, of_the_shop, temporal, step, feed=feed, lake=lake
    )
