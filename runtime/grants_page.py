"""Write the table of roles and tables into `docs/database.md`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from handrail.docs_pages.grants import with_matrix
from handrail.eventstore.business_tables import roles_of
from runtime.app import HANDRAIL

PAGE: Final = Path(__file__).parents[1] / "docs" / "database.md"


def page() -> str:
    roles = roles_of(HANDRAIL.tables, [one.name for one in HANDRAIL.consumers])
    return with_matrix(PAGE.read_text(), roles)


if __name__ == "__main__":
    PAGE.write_text(page())
