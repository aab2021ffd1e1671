from __future__ import annotations

import json
from pathlib import Path

import httpx

COMMITTED = Path(__file__).parents[2] / "docs/contracts/asyncapi.json"


async def test_the_contracts_of_events_are_served_as_they_are_committed(
    api: httpx.AsyncClient,
) -> None:
    answer = await api.get("/asyncapi.json")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(COMMITTED.read_text())
