"""Workers of several releases on the same task queues, and the operator who deploys them."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.service import RPCError

from handrail.cli.deploy_commands import Operator, Result
from handrail.temporal.client import Activities, workers
from handrail.temporal.deployments import POLLS_EVERY, Deployments
from handrail.terminal_tables import Terminal
from handrail.testing.running_saga import eventually
from tests.temporal import SANDBOX
from tests.workflows.two_releases import FIRST
from tests.world import World


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Workers of several releases on the same task queues, and the operator who deploys them."""

    place: World
    name: str = field(default_factory=lambda: f"tests-{uuid4().hex[:8]}")

    @asynccontextmanager
    async def working(
        self,
        build_id: str | None,
        workflows: Sequence[type],
        *,
        contexts: Sequence[str] | None = None,
        activities: Activities | None = None,
    ) -> AsyncIterator[None]:
        """Workers of a release until the block ends. Each has a client of its own, as each process
        has.
        """
        activities = activities or self.place.activities()
        client = self.place.client
        hired = workers(
            await Client.connect(
                client.service_client.config.target_host,
                namespace=client.namespace,
                data_converter=client.data_converter,
            ),
            activities,
            contexts or list(activities),
            workflows=workflows,
            queue_prefix=self.place.queue_prefix,
            shutdown=timedelta(0),
            runner=SANDBOX,
            version=WorkerDeploymentVersion(self.name, build_id) if build_id else None,
        )
        async with AsyncExitStack() as stack:
            for worker in hired:
                await stack.enter_async_context(worker)
            yield

    def operator(
        self,
        build_id: str | None = None,
        workflows: Sequence[type] = FIRST,
        *,
        polls_within: float = POLLS_EVERY,
    ) -> Operator:
        """With the code of a release at hand."""
        queue = f"{self.place.queue_prefix}sagas"
        return Operator(
            client=self.place.client,
            deployments=Deployments(
                self.place.client, self.name, queue, "a test", polls_within=polls_within
            ),
            workflows=workflows,
            build_id=build_id,
            console=Terminal(file=io.StringIO(), width=10_000),
        )

    async def ends(self) -> None:
        """Terminate what still runs: while anything runs on a version, Temporal looks at it again
        several times a second, for as long as the server lives.
        """
        client = self.place.client
        running = f"TaskQueue = '{self.place.queue_prefix}sagas' AND ExecutionStatus = 'Running'"

        async def are_gone() -> bool:
            found = [one async for one in client.list_workflows(running)]
            for one in found:
                with suppress(RPCError):  # it has ended meanwhile
                    await client.get_workflow_handle(one.id).terminate("the end of a test")
            return not found

        await eventually(are_gone, "nothing runs on the queues of the fleet")

    async def promotes(self, build_id: str) -> None:
        await self.operator().promote(build_id, within=60)

    async def status(self) -> tuple[dict[str, Any], str]:
        """The figures, and what is printed."""
        operator = self.operator()
        _, said = await operator.status()
        return said, printed(operator)

    async def version_of(self, workflow_id: str) -> str:
        """The build id that a workflow runs on; empty: none."""
        described = await self.place.client.get_workflow_handle(workflow_id).describe()
        info = described.raw_description.workflow_execution_info.versioning_info
        return info.deployment_version.build_id


def printed(operator: Operator) -> str:
    file = operator.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def of(result: Result, build_id: str) -> dict[str, Any]:
    """What is said of one version."""
    _, said = result
    [found] = [one for one in said["versions"] if one["build_id"] == build_id]
    assert isinstance(found, dict)
    return found
