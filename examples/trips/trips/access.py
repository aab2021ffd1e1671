"""Scopes and roles of the trips: teams grant themselves no budget, and travellers see trips."""

from __future__ import annotations

from typing import Final

from handrail.access.roles import OPERATOR, READER, Access

ACCESS: Final = Access(
    scopes={
        "trips:read": "Read trips.",
        "trips:write": "Book trips.",
        "budgets:write": "Grant teams a budget.",
    },
    tenant_role="team",
    party_role="traveller",
    roles={
        READER: {"trips:read"},
        OPERATOR: {"trips:read", "trips:write", "budgets:write"},
        "team": {"trips:read", "trips:write"},
        "traveller": {"trips:read"},
    },
)
