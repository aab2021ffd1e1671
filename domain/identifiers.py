"""The identifiers of this business, each a type of its own."""

from __future__ import annotations

from typing import NewType

from handrail.kernel import TenantId

OrderId = NewType("OrderId", str)
CustomerId = NewType("CustomerId", str)
MerchantId = TenantId
"""A merchant is the tenant: sagas run on behalf of one."""
Sku = NewType("Sku", str)
ReturnId = NewType("ReturnId", str)
PayoutId = NewType("PayoutId", str)
