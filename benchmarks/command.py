"""`handrail bench`."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Literal

from cyclopts import Parameter

from handrail.cli.command_runner import run_job
from handrail.cli.options import Json
from handrail.optional_deps import require_extra
from handrail.settings import Settings, load
from runtime.app import HANDRAIL


def bench(
    name: Annotated[
        Literal[
            "saga",
            "decision",
            "orders",
            "append",
            "growth",
            "feed",
            "rebuild",
            "hot",
            "fairness",
            "relay",
            "soak",
            "all",
        ],
        Parameter(help="Which one. all: one after the other."),
    ],
    *,
    json: Json = False,
) -> int:
    """Start everything, measure, stop everything. The exit code says whether the goal was met."""
    require_extra("bench", "dbos", "eventsourcing")
    if name in {"relay", "all"}:
        require_extra("broker", "aio_pika", "cloudevents")
    benchmark = import_module(f"benchmarks.{name}")

    async def work(settings: Settings) -> int:
        return int(await benchmark.run(settings, json=json))

    return run_job(load(HANDRAIL.settings_type), "bench", work)
