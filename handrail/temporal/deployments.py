"""The worker deployment at Temporal: its versions, which is current, and what runs on each."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.enums.v1 import TaskQueueType, WorkerDeploymentVersionStatus
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import Client
from temporalio.common import OneTimeVersioningOverride, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode

from handrail.sagas.worker_versions import VERSION_CHANGED

State = Literal["new", "current", "ramping", "draining", "drained"]
_RPC: Final = timedelta(seconds=10)
_CHANGE: Final = timedelta(seconds=60)
"""Temporal reaches every task queue before it answers. A change that is given up goes on there, and
another one waits behind it; of more than ten it takes none.
"""
POLLS_EVERY: Final = 75.0
"""Seconds: a worker asks for tasks again after a minute at the latest, so that without a poll for
as long there is none.
"""
_NO_ANSWER: Final = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
    }
)
"""Every change here can be asked for twice: it sets a state."""
_STATES: Final[Mapping[int, State]] = {
    WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_CURRENT: "current",
    WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_RAMPING: "ramping",
    WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINING: "draining",
    WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINED: "drained",
}


class DeploymentRefused(Exception):
    """Temporal does not do it. The message says why, and what to do next."""


class NoDeployments(DeploymentRefused):
    """The server has no worker deployments."""


class NotYet(DeploymentRefused):
    """It may be possible a moment later: workers are on their way, or Temporal did not answer."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """`new` was never current or ramping, so no saga began on it. `running` are workflows, those
    of processes included, and `parked` those of them that wait for a person; `workers` are the
    processes that polled the queue of the sagas in the last 75 seconds.
    """

    build_id: str
    state: State
    percent: float
    running: int
    parked: int
    workers: int
    created_at: datetime

    @property
    def is_stranded(self) -> bool:
        """Whether workflows wait for a worker of this version, and there is none."""
        return self.running > 0 and self.workers == 0


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """`unversioned_running` and `unversioned_workers` are those without a version on the same task
    queue. `changed_by` is the identity that changed the routing last.
    """

    name: str
    versions: tuple[Version, ...]
    unversioned_running: int
    unversioned_workers: int
    changed_by: str

    @property
    def current(self) -> Version | None:
        """None: what is started goes to workers without a version."""
        return next((one for one in self.versions if one.state == "current"), None)

    def version(self, build_id: str) -> Version:
        """Raises NotYet where no worker of it has ever polled."""
        for one in self.versions:
            if one.build_id == build_id:
                return one
        known = ", ".join(one.build_id for one in self.versions) or "none"
        raise NotYet(
            f"no worker of {build_id} has polled yet; versions of {self.name}: {known}. Start a"
            f" worker with HANDRAIL_BUILD_ID={build_id}"
        )


class Deployments:
    """One worker deployment, through a client.

    `queue` is the task queue of its sagas: a worker that did not poll it for `polls_within` seconds
    is gone.

    Every method raises DeploymentRefused; NotYet where Temporal does not answer in time.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        queue: str,
        identity: str,
        *,
        polls_within: float = POLLS_EVERY,
    ) -> None:
        self._client = client
        self._name = name
        self._queue = queue
        self._identity = identity
        self._polls_within = polls_within

    async def describe(self) -> Deployment:
        """Counts lag behind by as much as Temporal's visibility does."""
        info = await self._info()
        pollers = await self._pollers()
        versions = []
        for one in info.version_summaries:
            build = one.deployment_version.build_id
            on_it = f"{self._on(build)} AND ExecutionStatus = 'Running'"
            state = _STATES.get(one.status, "new")
            running = 0 if state == "new" else await self._count(on_it)
            ramp = info.routing_config.ramping_version_percentage
            versions.append(
                Version(
                    build_id=build,
                    state=state,
                    percent=round(ramp, 2) if state == "ramping" else 0,
                    running=running,
                    parked=await self._count(f"{on_it} AND SagaStatus = 'parked'")
                    if running
                    else 0,
                    workers=len(pollers.get(build, ())),
                    created_at=one.create_time.ToDatetime(UTC),
                )
            )
        versions.sort(key=lambda one: one.created_at, reverse=True)
        unversioned = (
            f"TemporalWorkerDeploymentVersion IS NULL AND TaskQueue = '{self._queue}'"
            " AND ExecutionStatus = 'Running'"
        )
        return Deployment(
            name=self._name,
            versions=tuple(versions),
            unversioned_running=await self._count(unversioned),
            unversioned_workers=len(pollers.get("", ())),
            changed_by=info.last_modifier_identity,
        )

    async def promote(self, build_id: str) -> None:
        """What begins from now on begins on this version; empty: on workers without one.

        Raises NotYet where its workers do not poll all task queues yet.
        """
        with self._answered():
            await self._client.workflow_service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=self._client.namespace,
                    deployment_name=self._name,
                    build_id=build_id,
                    identity=self._identity,
                ),
                timeout=_CHANGE,
            )

    async def ramp(self, build_id: str, percent: float) -> None:
        """So many in a hundred of what begins from now on begin on this version; 0: no more."""
        with self._answered():
            await self._client.workflow_service.set_worker_deployment_ramping_version(
                SetWorkerDeploymentRampingVersionRequest(
                    namespace=self._client.namespace,
                    deployment_name=self._name,
                    build_id=build_id if percent else "",
                    percentage=percent,
                    identity=self._identity,
                ),
                timeout=_CHANGE,
            )

    async def running_on(self, build_id: str, types: Collection[str] = ()) -> AsyncIterator[str]:
        """The ids of the workflows that have not ended, of these types or all."""
        query = f"{self._on(build_id)} AND ExecutionStatus = 'Running'"
        if types:
            names = ", ".join(f"'{one}'" for one in types)
            query += f" AND WorkflowType IN ({names})"
        with self._answered():
            async for one in self._client.list_workflows(query, rpc_timeout=_RPC):
                yield one.id

    async def wake(self, workflow_id: str) -> None:
        """Have a process look whether another version is current; one that has ended need not."""
        handle = self._client.get_workflow_handle(workflow_id)
        with self._answered():
            try:
                await handle.signal(VERSION_CHANGED, rpc_timeout=_RPC)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise

    async def move(self, workflow_id: str, build_id: str) -> None:
        """Have a workflow go on on another version, from its next task on.

        It is replayed there: where the code asks for something else than its history has, its task
        fails until it is moved back.
        """
        version = WorkerDeploymentVersion(self._name, build_id)
        with self._answered():
            said = await self._client.workflow_service.update_workflow_execution_options(
                UpdateWorkflowExecutionOptionsRequest(
                    namespace=self._client.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=workflow_id),
                    workflow_execution_options=WorkflowExecutionOptions(
                        # Not one that stays: it would be inherited by every later run, and keep a
                        # process of months on this version for ever.
                        versioning_override=_once(version)
                    ),
                    update_mask=FieldMask(paths=["versioning_override"]),
                    identity=self._identity,
                ),
                timeout=_RPC,
            )
        if not said.workflow_execution_options.versioning_override.HasField("one_time"):
            raise NoDeployments("this Temporal server moves no workflow once: it takes 1.32")

    async def _info(self) -> WorkerDeploymentInfo:
        with self._answered():
            said = await self._client.workflow_service.describe_worker_deployment(
                DescribeWorkerDeploymentRequest(
                    namespace=self._client.namespace, deployment_name=self._name
                ),
                timeout=_RPC,
            )
        return said.worker_deployment_info

    async def _pollers(self) -> Mapping[str, set[str]]:
        """The identities of workers that poll the queue of the sagas, by build id; "": none."""
        with self._answered():
            said = await self._client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self._client.namespace,
                    task_queue=TaskQueue(name=self._queue),
                    task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
                ),
                timeout=_RPC,
            )
        found: dict[str, set[str]] = {}
        for one in said.pollers:
            build = self._build_id_of(one)
            age = time.time() - one.last_access_time.ToMicroseconds() / 1e6
            if build is not None and age < self._polls_within:
                found.setdefault(build, set()).add(one.identity)
        return found

    def _build_id_of(self, poller: PollerInfo) -> str | None:
        """None for a worker of another deployment."""
        options = poller.deployment_options
        if not options.deployment_name:
            return ""
        return options.build_id if options.deployment_name == self._name else None

    def _on(self, build_id: str) -> str:
        return f"TemporalWorkerDeploymentVersion = '{self._name}:{build_id}'"

    async def _count(self, query: str) -> int:
        with self._answered():
            return (await self._client.count_workflows(query, rpc_timeout=_RPC)).count

    @contextmanager
    def _answered(self) -> Iterator[None]:
        try:
            yield
        except RPCError as error:
            if error.status in _NO_ANSWER:
                said = f"Temporal did not answer ({error.message})"
                raise NotYet(f"{said}: repeat it, nothing is done twice") from None
            raise self._refusal(error) from None

    def _refusal(self, error: RPCError) -> Exception:
        said = error.message
        disabled = error.status is RPCStatusCode.PERMISSION_DENIED and "disabled" in said
        if disabled or error.status is RPCStatusCode.UNIMPLEMENTED:
            return NoDeployments(
                f"this Temporal server has no worker deployments ({said}): leave HANDRAIL_BUILD_ID"
                " unset, or use a server from 1.29 on"
            )
        if error.status is RPCStatusCode.NOT_FOUND:
            if "workflow" in said:
                return DeploymentRefused(said)
            return NotYet(
                f"Temporal knows no such workers ({said}). Start a worker with HANDRAIL_BUILD_ID"
            )
        if error.status is RPCStatusCode.FAILED_PRECONDITION:
            if "missing" in said:
                return NotYet(
                    f"{said}. Each task queue needs a worker of the version: see"
                    " HANDRAIL_WORKER_CONTEXTS"
                )
            return DeploymentRefused(said)
        return error


def _once(version: WorkerDeploymentVersion) -> VersioningOverride:
    override: Any = OneTimeVersioningOverride(version)
    converted: VersioningOverride = override._to_proto()  # noqa: SLF001  # the SDK has no other way
    return converted
