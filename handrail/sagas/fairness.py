"""Task queues serve tenants in turn, however much one of them has waiting."""

from __future__ import annotations

import hashlib
from typing import Final

from temporalio.common import Priority

LONGEST: Final = 64  # bytes


def fair(tenant: str) -> Priority:
    """The priority that a workflow is started with; its activities and children inherit it.

    Without a tenant there is no fairness key.
    """
    if not tenant:
        return Priority()
    key = tenant.encode()
    if len(key) > LONGEST:
        return Priority(fairness_key=hashlib.sha256(key).hexdigest())
    return Priority(fairness_key=tenant)
