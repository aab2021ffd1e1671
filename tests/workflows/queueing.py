"""A workflow that has one thing to do, on a queue where others wait too."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow


@workflow.defn(name="Queueing")
class Queueing:
    @workflow.run
    async def run(self, merchant: str, queue: str) -> None:
        await workflow.execute_activity(
            "serve", merchant, task_queue=queue, start_to_close_timeout=timedelta(seconds=10)
        )
