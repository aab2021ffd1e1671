"""The decimal places of the currencies of ISO 4217, and how amounts are written with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MOST: Final = 2
"""Decimal places of nearly all currencies, and of those that ISO 4217 does not know."""

EXCEPTIONS: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        (
            *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
            *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def places_of(currency: str) -> int:
    """How many decimal places its minor unit is below the major one."""
    return EXCEPTIONS.get(currency, MOST)


def written(amount: int, currency: str) -> str:
    """Such as `12.50 EUR` or `833 JPY`; `amount` is in minor units."""
    places = places_of(currency)
    whole, rest = divmod(abs(amount), 10**places)
    decimals = f".{rest:0{places}}" if places else ""
    return f"{'-' * (amount < 0)}{whole}{decimals} {currency}"
