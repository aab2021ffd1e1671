"""Write `docs/retention.md`: the tables of the library, and the shop's own, which stand here.

A test compares the page with this, and the tables with those of a migrated database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from handrail.docs_pages import retention
from handrail.docs_pages.retention import FOR_EVER, Retention, retentions
from runtime.app import HANDRAIL

PAGE: Final = Path(__file__).parents[1] / "docs" / "retention.md"

_OF_THE_SHOP: Final = (
    Retention(
        tables=("ledger_lines",),
        until=FOR_EVER,
        protects="Finance's books.",
    ),
    Retention(
        tables=("packing_lists", "packing_lines"),
        until=FOR_EVER,
        protects="What was packed and may come back, one list for each order.",
    ),
    Retention(
        tables=("notification_orders",),
        until=FOR_EVER,
        protects="Whose an order is, for events that name the order only. It holds ids.",
    ),
    Retention(
        tables=("notification_early",),
        until="until the event of its order comes",
        protects="Messages about events that came before their order.",
        by="consumer of notifications",
    ),
    Retention(
        tables=("notification_instalments",),
        until="until the instalment is paid, or the plan ends",
        protects="Reminders that are still to be sent.",
        by="consumer of notifications",
    ),
)
RETENTIONS: Final = retentions(HANDRAIL.read_models, _OF_THE_SHOP)


def page() -> str:
    return retention.page(RETENTIONS)


if __name__ == "__main__":
    PAGE.write_text(page())
