"""Scopes and roles of the shop: what a merchant, a customer, a service or an operator may do."""

from __future__ import annotations

from typing import Final

from handrail.access.roles import APPROVER, MANAGE_ENDPOINTS, OPERATOR, READER, SERVICE, Access

_SCOPES: Final = {
    "orders:read": "Read orders.",
    "orders:write": "Place orders, cancel them, and return what was ordered.",
    "plans:read": "Read instalment plans.",
    "plans:write": "Settle instalment plans early, and move instalments.",
    "customers:read": "Read customers' limits and what they owe.",
    "customers:erase": "Erase customers.",
    "limits:write": "Set customers' limits.",
    "contacts:read": "Read customers' addresses, and the messages that were sent to them.",
    "contacts:write": "Change and delete customers' addresses.",
    "merchants:write": "Open merchants' accounts.",
    "applications:read": "Read merchants' applications.",
    "applications:write": "Apply as a merchant.",
    "balances:read": "Read what merchants are owed.",
    "stock:read": "Read stock.",
    "stock:write": "Add stock.",
    "payouts:read": "Read payout runs.",
    "payouts:write": "Begin payout runs, pause them, and have them go on.",
}
_READING: Final = frozenset(name for name in _SCOPES if name.endswith(":read"))
_CUSTOMER: Final = frozenset({"orders:read", "orders:write", "plans:read", "plans:write"}) | {
    "customers:read",
    "contacts:read",
    "contacts:write",
}

ACCESS: Final = Access(
    scopes=_SCOPES,
    tenant_role="merchant",
    party_role="customer",
    roles={
        READER: _READING,
        OPERATOR: _SCOPES.keys(),
        APPROVER: _READING,
        SERVICE: _CUSTOMER | {"stock:read"},
        "merchant": frozenset({"orders:read", "plans:read", "balances:read"})
        | {"stock:read", "stock:write", "applications:read", "applications:write"}
        | {"webhook-endpoints:read", MANAGE_ENDPOINTS},
        "customer": _CUSTOMER,
    },
)
