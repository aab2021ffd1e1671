"""Task queues serve merchants in turn, however much one of them has waiting."""

from __future__ import annotations

import hashlib
from typing import Final

from temporalio.common import Priority

LONGEST: Final = 64  # bytes


def fair(merchant: str) -> Priority:
    """What a workflow is started with; its activities and children inherit it.

    Without a merchant it is nobody's turn in particular.
    """
    if not merchant:
        return Priority()
    key = merchant.encode()
    if len(key) > LONGEST:
        return Priority(fairness_key=hashlib.sha256(key).hexdigest())
    return Priority(fairness_key=merchant)
