"""`handrail verify`: the proof of an App, with its progress, as a table or as JSON."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import cast

import httpx
import orjson
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from temporalio.client import Client

from handrail.app import App
from handrail.eventstore.codec import Codec
from handrail.restore.lake import is_there
from handrail.settings import Settings
from handrail.temporal.connection import connect
from handrail.terminal_tables import terminal
from handrail.verify.proof import show
from handrail.verify.prove import prove
from handrail.verify.unreachable import Unreachable
from handrail.verify.verification import OF_EVERY_APP


async def _temporal(settings: Settings, codec: Codec) -> Client | None:
    address = settings.temporal_address
    if address is None:
        return None
    try:
        return await connect(settings, codec)
    except RuntimeError:
        raise Unreachable(f"Temporal at {address} does not answer: is it up?") from None


def _lake(settings: Settings) -> Path | None:
    """Where there is one, and what it is read with is installed."""
    can = find_spec("deltalake") and find_spec("duckdb")
    return settings.lake_folder if can and is_there(settings.lake_folder) else None


async def verify(
    app: App, settings: Settings, *, json: bool, feed: bool = False, wide: bool = False
) -> int:
    """0 where every invariant holds, 1 where one does not.

    Raises Unreachable where one that has to be asked does not answer.
    """
    console = terminal(json=json, wide=wide)
    temporal = await _temporal(settings, app.codec)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bars:
        bar = bars.add_task("ids read", total=None)
        try:
            proof = await prove(
                cast("str", settings.database_url),
                app,
                app.verification(settings) if app.verification else OF_EVERY_APP,
                temporal,
                lambda read, of: bars.update(bar, completed=read, total=of),
                feed=feed,
                lake=_lake(settings) if feed else None,
            )
        except httpx.TransportError as error:
            url = error.request.url.copy_with(path="/")
            raise Unreachable(f"{url} does not answer: is it up?") from None
    show(proof, console)
    if json:
        report = {
            "invariants": proof.as_json(),
            "events": proof.events,
            "explained": proof.explained(),
        }
        print(orjson.dumps(report).decode())
    return 0 if proof.holds else 1
