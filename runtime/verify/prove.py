"""What `handrail verify` proves of the shop, and the same for tests, demo and benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from temporalio.client import Client

from handrail.verify import prove as library
from handrail.verify.proof import Proof
from handrail.verify.prove import Step, Verification
from handrail.verify.store_invariants import STORE_INVARIANTS
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from runtime.verify import companies
from runtime.verify.evidence import Evidence
from runtime.verify.evidence_reader import ShopEvidenceReader
from runtime.verify.invariants import INVARIANTS
from runtime.verify.ledger_entries import ledger_agrees
from runtime.verify.processes import COMPARED

_STORES: Final = {"ledger_agrees": ledger_agrees}
NAMES: Final = tuple(dict.fromkeys([*INVARIANTS, *STORE_INVARIANTS, *_STORES]))


def verification(settings: ShopSettings) -> Verification[Evidence]:
    return _of(settings.bank_url, settings.carrier_url)


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
    of_the_shop = _of(bank_url, carrier_url)
    return await library.prove(
        database_url, HANDRAIL, of_the_shop, temporal, step, feed=feed, lake=lake
    )


def _of(bank_url: str | None, carrier_url: str | None) -> Verification[Evidence]:
    return Verification(
        reader=lambda sources: ShopEvidenceReader(
            sources,
            {
                "bank": companies.entries(bank_url) if bank_url else None,
                "carrier": companies.entries(carrier_url) if carrier_url else None,
            },
        ),
        invariants=INVARIANTS,
        compared=COMPARED,
        stores=_STORES,
    )
