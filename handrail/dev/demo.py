"""The demo of a business: its whole stack in a folder that goes with it, and the proof.

def demo(*, trips: int = 12, json: Json = False) -> int:
    return run_demo(TRIPS, lambda stack, api: drive(stack, api, trips), json=json)
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from handrail.app import App
from handrail.dev import job
from handrail.dev.stack import Stack
from handrail.settings import Settings, load
from handrail.temporal.connection import connect
from handrail.verify.prove import prove
from handrail.verify.verification import OF_EVERY_APP

Drive = Callable[[Stack, httpx.AsyncClient], Awaitable[Mapping[str, Any]]]
"""Drives a stack through its API, and returns figures; its `invariants` join the library's."""
ENDED: Final = frozenset({"completed", "refused", "compensated"})
_PATIENCE: Final = 120
"""Seconds until a saga has ended."""


def run_demo(app: App, drive: Drive, *, json: bool = False) -> int:
    """Start everything, drive it, prove the invariants, stop everything, and print the figures.

    Returns the exit code: 0 where every invariant holds.
    """

    async def work(settings: Settings) -> int:
        with tempfile.TemporaryDirectory(prefix="handrail-demo-") as folder:
            quick = settings.model_copy(update={"api_port": 0})
            async with Stack(app, quick, data_dir=Path(folder)) as stack:
                figures = await _figures(app, stack, drive)
        print(orjson.dumps(figures).decode() if json else figures)
        return 0 if all(figures["invariants"].values()) else 1

    return job.run(load(app.settings_type), "demo", work)


async def ending(api: httpx.AsyncClient, saga: str, answer: Mapping[str, Any] | None = None) -> str:
    """How a saga ended, once it has. A step that awaits a person gets the answer, if there is one.

    Raises TimeoutError after 120 s.
    """
    async with asyncio.timeout(_PATIENCE):
        while True:
            found = await api.get(f"/sagas/{saga}")
            status = str(found.json().get("status")) if found.is_success else ""
            if status in ENDED:
                return status
            if status == "awaiting" and answer:
                key = {"Idempotency-Key": saga}
                await api.post(f"/sagas/{saga}/answers", json=answer, headers=key)
            await asyncio.sleep(0.2)


async def _figures(app: App, stack: Stack, drive: Drive) -> Mapping[str, Any]:
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=30) as api:
        figures = await drive(stack, api)
    temporal = await connect(stack.settings, app.codec)
    proof = await prove(stack.database_url, app, OF_EVERY_APP, temporal)
    return {**figures, "invariants": {**proof.as_json(), **figures.get("invariants", {})}}
