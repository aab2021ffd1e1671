"""`handrail deploy` while Temporal is slow: it asks again until its time is over."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueResponse,
    DescribeWorkerDeploymentResponse,
    SetWorkerDeploymentCurrentVersionResponse,
)
from temporalio.service import RPCError, RPCStatusCode

from handrail.cli.deploy_commands import Operator
from handrail.temporal.deployments import Deployments, NotYet
from handrail.terminal_tables import terminal

SLOW = (
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.ABORTED,
)


@dataclass
class SlowServer:
    """A client and its service: each call fails once with `status`, `forever` again and again."""

    status: RPCStatusCode
    forever: bool = False
    namespace: str = "default"
    answered: list[str] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)

    @property
    def workflow_service(self) -> Any:
        return self

    def _answer(self, call: str) -> None:
        if self.forever or call not in self.failed:
            self.failed.add(call)
            raise RPCError("Timeout expired", self.status, b"")
        self.answered.append(call)

    async def set_worker_deployment_current_version(self, *_: Any, **__: Any) -> Any:
        self._answer("set")
        return SetWorkerDeploymentCurrentVersionResponse()

    async def describe_worker_deployment(self, *_: Any, **__: Any) -> Any:
        self._answer("describe")
        return DescribeWorkerDeploymentResponse(worker_deployment_info=WorkerDeploymentInfo())

    async def describe_task_queue(self, *_: Any, **__: Any) -> Any:
        self._answer("pollers")
        return DescribeTaskQueueResponse()

    async def count_workflows(self, *_: Any, **__: Any) -> Any:
        self._answer("count")
        return _Count()


@dataclass(frozen=True)
class _Count:
    count: int = 0


def operator(server: Any) -> Operator:
    return Operator(
        client=server,
        deployments=Deployments(server, "shop", "sagas", "a test"),
        workflows=(),
        build_id=None,
        console=terminal(json=True),
    )


@pytest.mark.quick(1)
@pytest.mark.parametrize("status", SLOW)
async def test_a_promotion_is_asked_for_again_where_temporal_does_not_answer(
    status: RPCStatusCode,
) -> None:
    server = SlowServer(status)
    code, _ = await operator(server).promote("", within=60)
    assert code == 0
    assert server.answered.count("set") == 1


async def test_a_promotion_ends_with_a_sentence_where_temporal_never_answers() -> None:
    server = SlowServer(RPCStatusCode.UNAVAILABLE, forever=True)
    began = time.monotonic()
    with pytest.raises(NotYet, match="Temporal did not answer"):
        await operator(server).promote("", within=0.1)
    assert time.monotonic() - began < 30


async def test_what_temporal_refuses_is_not_asked_for_again() -> None:
    server = SlowServer(RPCStatusCode.INVALID_ARGUMENT)
    with pytest.raises(RPCError):
        await operator(server).promote("", within=60)
    assert not server.answered
