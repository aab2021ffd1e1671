"""A checkout that parks just behind the look of whoever steps in: nothing, and then something."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from handrail.kernel import Command
from handrail.sagas.options import Intervention


@workflow.defn(name="Checkout")
class ParksBehindTheLook:
    """What is parked is asked for before it parks, and the intervention arrives after that."""

    @workflow.run
    async def run(self) -> None:
        await asyncio.Event().wait()

    @workflow.query
    def parked_command(self, step: str) -> Command:
        raise ApplicationError(f"{step} is not parked; parked now: none", type="NotParked")

    @workflow.update
    def intervene(self, intervention: Intervention, correction: Command | None) -> None:
        """It has parked, and looks at the correction."""
        del intervention, correction

    @intervene.validator
    def _may_intervene(self, intervention: Intervention, correction: Command | None) -> None:
        said = f"{intervention.kind}: a correction of BookShipment is one, not {correction}"
        raise ApplicationError(said, type="WrongCorrection")
