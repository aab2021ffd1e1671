"""What of an aggregate's state has an effect on anybody: the rest is memory of what is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

OVER: Final[Mapping[str, frozenset[str]]] = {
    "payment": frozenset({"none", "declined", "voided", "refunded"}),
    "shipment": frozenset({"none", "declined", "cancelled"}),
    "transfer": frozenset({"none", "declined"}),
    "application": frozenset({"none", "withdrawn"}),
}
"""The statuses in which nothing stands."""


def essence(category: str, state: dict[str, Any]) -> Any:
    """None where nothing stands."""
    if state.get("status") in OVER.get(category, ()):
        return None
    if category == "order":
        return _order(state)
    if category == "merchant" and not state["balance"]["currency"]:
        return None
    return state


def _order(state: dict[str, Any]) -> Any:
    if state["status"] in {"unknown", "rejected"}:
        return None
    returns = state.get("returns") or {}
    standing = {key: one for key, one in returns.items() if one.get("status") != "withdrawn"}
    return {**state, "returns": standing}
