"""A delivery that only listens: it has the name and the ears of the real one."""

from __future__ import annotations

from temporalio import workflow

from workflows.carrier_notice import CarrierNotice


@workflow.defn(name="DeliverOrder")
class Listens:
    """Ends with what the carrier told it, after as many notices as it was told to wait for."""

    def __init__(self) -> None:
        self._notices: list[CarrierNotice] = []

    @workflow.run
    async def run(self, wanted: int) -> list[CarrierNotice]:
        await workflow.wait_condition(lambda: len(self._notices) >= wanted)
        return self._notices

    @workflow.signal
    def carrier_told(self, notice: CarrierNotice) -> None:
        self._notices.append(notice)

    @workflow.query
    def heard(self) -> list[CarrierNotice]:
        return self._notices
