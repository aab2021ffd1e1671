"""The words of the shop, which neither the library nor the failure harness has."""

from __future__ import annotations

import re
from typing import Final

WORDS: Final = re.compile(
    r"(?<![a-z])(orders?|merchants?|banks?|cards?|instalments?|checkouts?|parcels?|carriers?"
    r"|customers?|shops?|stock|skus?|payments?|payouts?|refunds?|officers?)(?![a-z])",
    re.IGNORECASE,
)
NOT_MEANT: Final = re.compile(
    r"order by|order_by|order=True|paint-order|out[-_ ]?of[-_ ]?order"
    r"|in[-_ ](this |ascending )?order|an order in which|whether order mattered"
    r"|(any|its|their|that|stable|tells) order|order (can be|of)"
    r"|the order (of|which|that|it|in|they)|PAYMENT_REQUIRED",
    re.IGNORECASE,
)
"""The order of things, SQL's ORDER BY, and an HTTP status."""


def words_of_the_shop(text: str) -> list[str]:
    """In names as in sentences: `an_order`, `OrderPlaced` and `the order` have the same word."""
    plain = NOT_MEANT.sub("", " ".join(text.split()))
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain).replace("_", " ")
    return WORDS.findall(parted)
