"""Write `docs/bounds.md`: the bounds of the shop's requests, commands, webhooks and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import create_async_engine

from api.app import create_app
from api.webhook_messages import TYPES, Envelope
from handrail import bounds
from handrail.activities.http_gateway import No, Yes
from handrail.docs_pages import bounds as bounds_page
from handrail.docs_pages.bounds import Line, lines_of, table
from handrail.sagas.options import RunOptions
from runtime.api import lazy_client
from runtime.app import HANDRAIL

PAGE: Final = Path(__file__).parents[1] / "docs" / "bounds.md"
_SHOWN_BY: Final = """The last line
is a test in `tests/workflows/test_final_failures.py`; hostile values in every field are tried in
`tests/api/test_hostile_values.py`."""
_PROVIDER: Final[list[Line]] = [("#/id", str(bounds.OUTSIDE)), ("#/code", str(bounds.OUTSIDE))]


async def page() -> str:
    """Raises Unbounded."""
    # Neither the database nor Temporal is asked for anything.
    engine = create_async_engine("postgresql+psycopg://")
    client = await lazy_client("127.0.0.1:7233", "default")
    app = create_app(
        engine,
        client,
        RunOptions(),
        codec=HANDRAIL.codec,
        event_contracts=HANDRAIL.event_contracts,
    )
    others = [
        "## Webhooks\n",
        table("every webhook", lines_of(Envelope)),
        *_webhooks(),
        "## Answers of other companies\n",
        table("bank, carrier and registry: yes", lines_of(Yes)),
        table("bank, carrier and registry: no", lines_of(No)),
        table("the provider of messages", _PROVIDER),
    ]
    return bounds_page.page(app.openapi(), HANDRAIL.commands, others, shown_by=_SHOWN_BY)


def _webhooks() -> Iterator[str]:
    for source, types in TYPES.items():
        for type_, model in types.items():
            found = [(f"#/data{field[1:]}", bound) for field, bound in lines_of(model)]
            yield table(f"`{type_}` of the {source}", found)


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(page()))
