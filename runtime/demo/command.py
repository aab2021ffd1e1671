"""`handrail demo`."""

from __future__ import annotations

from typing import Annotated, cast

from cyclopts import Parameter

from handrail.cli.command_runner import run_job
from handrail.cli.options import Broker, Json, Wide
from handrail.settings import load
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings


def demo(
    *,
    orders: Annotated[int, Parameter(help="How many checkouts to drive.")] = 60,
    merchants: Annotated[int, Parameter(help="How many merchants sell.")] = 8,
    faults: Annotated[
        float, Parameter(help="The share of questions to bank and carrier that go wrong.")
    ] = 0.1,
    seed: Annotated[int, Parameter(help="The same seed makes the same orders and faults.")] = 1,
    broker: Broker = False,
    wide: Wide = False,
    json: Json = False,
) -> int:
    """Start everything, drive checkouts through HTTP, prove the invariants, stop everything."""
    from runtime.demo.run import demo as run  # noqa: PLC0415  # it loads what it drives

    async def work(settings: ShopSettings) -> int:
        return await run(
            settings,
            orders=orders,
            merchants=merchants,
            faults=faults,
            seed=seed,
            broker=broker,
            wide=wide,
            json=json,
        )

    return run_job(cast("ShopSettings", load(HANDRAIL.settings_type)), "demo", work)
