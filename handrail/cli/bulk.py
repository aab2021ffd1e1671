"""Telling many sagas: parked ones by an intervention of the server, others one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from handrail.cli.api_client import Api, Refused
from handrail.cli.saga_tables import show_dry_run, show_items, show_sagas

_POLL: Final = 0.3  # seconds
_NOT_YET: Final = "read-model-behind"

Result = tuple[int, dict[str, Any]]
"""The exit code, and what is printed as JSON."""


def intervene(api: Api, console: Console, body: Mapping[str, Any], *, dry_run: bool) -> Result:
    """In all parked sagas that match, by the server: it goes on when this process ends."""
    if dry_run:
        found = api.post("/interventions", {**body, "dry_run": True})
        show_dry_run(console, found)
        return 0, {"dry_run": found}
    id_ = uuid4().hex
    api.post("/interventions", {**body, "dry_run": False}, key=id_)
    console.print(f"intervention {id_}; to end it early: handrail sagas stop {id_} --reason …")
    ended = _followed(api, console, id_)
    items = list(api.items(f"/interventions/{id_}/items"))
    show_items(console, items)
    if ended["state"] == "stopped":
        console.print(f"stopped by {ended['stopped_by']}: {ended['stop_reason']}", markup=False)
    well = ended["state"] == "finished" and not ended["refused"] and not ended["unreachable"]
    return 0 if well else 1, {"intervention": ended, "items": items}


def one_by_one(
    console: Console,
    sagas: Sequence[Mapping[str, Any]],
    tell: Callable[[str], Any],
    *,
    per_second: int,
    dry_run: bool,
) -> Result:
    """From here, for what is no intervention: it ends when this process ends."""
    if dry_run:
        show_sagas(console, sagas)
        return 0, {"dry_run": {"count": len(sagas), "sagas": list(sagas)}}
    items = []
    with _bar(console, "telling", len(sagas)) as told:
        for one in sagas:
            began = time.monotonic()
            items.append(_told(one, tell))
            told(len(items), len(sagas))
            time.sleep(max(0.0, 1 / per_second - (time.monotonic() - began)))
    show_items(console, items)
    return 0 if all(one["status"] == "accepted" for one in items) else 1, {"items": items}


def matching(
    api: Api,
    statuses: Sequence[str],
    *,
    older_than: int | None,
    failure: str | None,
    **asked: str | None,
) -> Sequence[Mapping[str, Any]]:
    """All sagas in one of these statuses that match; older by when they were parked or started."""
    found = [one for status in statuses for one in api.items("/sagas", status=status, **asked)]
    return [
        one
        for one in found
        if (failure or "").lower() in one["cause"].lower() and _age(one) >= (older_than or 0)
    ]


def _told(saga: Mapping[str, Any], tell: Callable[[str], Any]) -> dict[str, str]:
    status, said = "accepted", ""
    try:
        tell(saga["saga"])
    except Refused as no:
        away = no.slug == "worker-unavailable"
        status, said = "unreachable" if away else "refused", str(no)
    return {"saga": saga["saga"], "step": saga["step"], "status": status, "said": said}


def _followed(api: Api, console: Console, id_: str) -> Any:
    with _bar(console, "telling", None) as told:
        while True:
            try:
                now = api.get(f"/interventions/{id_}")
            except Refused as no:
                if no.slug != _NOT_YET:
                    raise
            else:
                told(now["accepted"] + now["refused"] + now["unreachable"], now["found"])
                if now["state"] not in {"running", "suspended"}:
                    return now
            time.sleep(_POLL)


@contextmanager
def _bar(console: Console, what: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def _age(saga: Mapping[str, Any]) -> float:
    since = datetime.fromisoformat(saga["parked_since"] or saga["started_at"])
    return (datetime.now(UTC) - since).total_seconds()
