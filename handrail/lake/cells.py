"""How values are written in tables and charts for people."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any


def plain(value: float) -> str:
    """12,500 and 0.25: as many digits as it needs."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}".rstrip("0")


def shown(value: Any) -> str:
    """The text of one cell of a row."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case date():
            return value.isoformat()
        case int() | float() | Decimal():
            return plain(float(value))
        case _:
            return str(value)
