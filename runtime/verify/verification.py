"""What `handrail verify` proves of the shop."""

from __future__ import annotations

from typing import Final

from handrail.verify.store_invariants import STORE_INVARIANTS
from handrail.verify.verification import Verification
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
    return verification_of(settings.bank_url, settings.carrier_url)


def verification_of(bank_url: str | None, carrier_url: str | None) -> Verification[Evidence]:
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
