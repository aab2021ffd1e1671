"""Workflow tasks that are lost, as those of a worker that is killed.

To Temporal a task that failed is a task that ran out of time: nothing of it is in the history, the
worker forgets the workflow, and the code runs again from the last task that was completed. It only
takes no process, and no waiting for the timeout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner


class Lost(Exception):
    """The workflow task will never be completed."""


@dataclass(frozen=True)
class LosingTasks(WorkflowRunner):
    """Runs workflows as `runner` does, but for the next task of each run in `lost`."""

    runner: WorkflowRunner
    lost: set[str]

    def prepare_workflow(self, defn: Any) -> None:
        self.runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _Losing(self.runner.create_instance(det), det.info.run_id, self.lost)

    def set_worker_level_failure_exception_types(
        self, types: Sequence[type[BaseException]]
    ) -> None:
        self.runner.set_worker_level_failure_exception_types(types)


@dataclass(frozen=True)
class _Losing(WorkflowInstance):
    instance: WorkflowInstance
    run: str
    lost: set[str]

    def activate(self, act: Any) -> Any:
        is_forgotten = any(job.HasField("remove_from_cache") for job in act.jobs)
        if self.run in self.lost and not is_forgotten:
            self.lost.discard(self.run)
            raise Lost(self.run)
        return self.instance.activate(act)

    def get_serialization_context(self, command_info: Any) -> Any:
        return self.instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self.instance.get_external_store_context(command_info)

    def get_info(self) -> Any:
        return self.instance.get_info()

    def get_thread_id(self) -> int | None:
        return self.instance.get_thread_id()
