"""Write `docs/bounds.md`: the bounds of the shop's requests, commands, webhooks and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import create_async_engine

from api.webhook_messages import WEBHOOKS
from handrail import bounds
from handrail.access.authentication import Development
from handrail.activities.http_gateway import AcceptedBody, DeclinedBody
from handrail.docs_pages import bounds as bounds_page
from handrail.docs_pages.bounds import Line, lines_of, table
from handrail.http.webhook_sources import Envelope
from handrail.processes.api import lazy_client
from handrail.processes.http_application import create_app
from handrail.sagas.options import RunOptions
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
    client = await lazy_client("127.0.0.1:7233", "default", HANDRAIL.codec)
    app = create_app(
        HANDRAIL, engine, client, RunOptions(), authentication=Development(HANDRAIL.access)
    )
    others = [
        "## Webhooks\n",
        table("every webhook", lines_of(Envelope)),
        *_webhooks(),
        "## Answers of other companies\n",
        table("bank, carrier and registry: yes", lines_of(AcceptedBody)),
        table("bank, carrier and registry: no", lines_of(DeclinedBody)),
        table("the provider of messages", _PROVIDER),
    ]
    return bounds_page.page(app.openapi(), HANDRAIL.commands, others, shown_by=_SHOWN_BY)


def _webhooks() -> Iterator[str]:
    for source in WEBHOOKS.sources:
        for type_, one in source.types.items():
            found = [(f"#/data{field[1:]}", bound) for field, bound in lines_of(one.data)]
            yield table(f"`{type_}` of the {source.name}", found)


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(page()))
