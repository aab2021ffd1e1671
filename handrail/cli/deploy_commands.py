"""What `handrail deploy` does: status, promotion, ramp, drain and moves of worker versions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from handrail.app import App
from handrail.catalogue import SAGAS
from handrail.cli.api_client import login_name
from handrail.counted import counted
from handrail.sagas.worker_versions import MovesOn
from handrail.settings import Settings
from handrail.temporal.connection import connect
from handrail.temporal.deployments import (
    Deployment,
    DeploymentRefused,
    Deployments,
    NoDeployments,
    NotYet,
    Version,
)
from handrail.terminal_tables import Column, Table, terminal

T = TypeVar("T")
Result = tuple[int, dict[str, Any]]
"""The exit code, and what is printed as JSON."""
LOOKS_EVERY: Final = 1.0  # seconds
WAKES_EVERY: Final = 5.0  # seconds
_WAKES_A_SECOND: Final = 50
_FEW: Final = 20
"""So many sagas are named in a sentence."""


async def opened_operator(settings: Settings, app: App, *, json: bool, wide: bool) -> Operator:
    client = await connect(settings, app.codec)
    queue = settings.task_queue_prefix + SAGAS.name
    identity = f"{login_name()} with handrail deploy"
    return Operator(
        client=client,
        deployments=Deployments(client, settings.deployment_name, queue, identity),
        workflows=app.all_workflows,
        build_id=settings.build_id,
        console=terminal(json=json, wide=wide),
    )


@dataclass(frozen=True, kw_only=True)
class Operator:
    """`build_id` is that of the code here, whose `workflows` replay what is to be moved."""

    client: Client
    deployments: Deployments
    workflows: Sequence[type[Any]]
    build_id: str | None
    console: Console

    async def status(self) -> Result:
        """1 where workflows wait for a version that has no worker."""
        found = await self.deployments.describe()
        table_of(found).print(self.console)
        for line in remarks(found):
            self.console.print(line, markup=False)
        return int(any(one.is_stranded for one in found.versions)), as_json(found)

    async def promote(self, build_id: str, *, within: float) -> Result:
        """Raises DeploymentRefused where its workers do not poll in time."""

        async def promote() -> None:
            if build_id:
                await self._check_polls(build_id)
            await self.deployments.promote(build_id)

        await self._until_possible(promote, within)
        now = build_id or "workers without a build id"
        self.console.print(f"what begins from now on begins on {now}", markup=False)
        return 0, as_json(await self._until_possible(self.deployments.describe, within))

    async def ramp(self, build_id: str, percent: float, *, within: float) -> Result:
        async def ramp() -> None:
            if percent:
                await self._check_polls(build_id)
            await self.deployments.ramp(build_id, percent)

        await self._until_possible(ramp, within)
        said = f"{percent:g} in 100 of what begins from now on begin on {build_id}"
        self.console.print(said, markup=False)
        return 0, as_json(await self._until_possible(self.deployments.describe, within))

    async def drain(self, build_id: str, *, within: float) -> Result:
        """0 once Temporal says that it is drained, 1 where the time is over before."""
        deadline = time.monotonic() + within
        found = await self._until_possible(self.deployments.describe, within)
        version = found.version(build_id)
        if version.state in {"current", "ramping"}:
            raise DeploymentRefused(
                f"{build_id} is {version.state}: promote another version first, or ramp it to 0"
            )
        woken_at = 0.0
        with self._bar(f"draining {build_id}", version.running) as show:
            while (version := found.version(build_id)).state == "draining":
                show(version.running)
                if time.monotonic() >= deadline:
                    break
                left = deadline - time.monotonic()
                if time.monotonic() - woken_at >= WAKES_EVERY and version.workers:
                    await self._until_possible(lambda: self._wake_processes(build_id), left)
                    woken_at = time.monotonic()
                await asyncio.sleep(LOOKS_EVERY)
                found = await self._until_possible(self.deployments.describe, left)
            show(version.running)
        if version.state in {"current", "ramping"}:
            raise DeploymentRefused(f"{build_id} is {version.state} again")
        is_drained = version.state != "draining"
        for line in _remarks_on(version, found):
            self.console.print(line, markup=False)
        return int(not is_drained), as_json(found)

    async def move(
        self, saga: str | None, from_: str | None, to: str, *, unchecked: bool
    ) -> Result:
        """1 where a history does not replay with the code here: it is not moved."""
        if not unchecked and self.build_id != to:
            raise DeploymentRefused(
                f"the code here has the build id {self.build_id or 'of no version'}, so it cannot"
                f" tell what {to} makes of a history: use the release {to}, with"
                f" HANDRAIL_BUILD_ID={to}, or --unchecked"
            )
        (await self.deployments.describe()).version(to)
        if saga is not None:
            ids = [saga]
        else:
            ids = [one async for one in self.deployments.running_on(str(from_))]
        moved: list[str] = []
        refused: dict[str, str] = {}
        with self._bar(f"moving to {to}", len(ids)) as show:
            for done, one in enumerate(ids, 1):
                said = "" if unchecked else await self._replay_mistake(one)
                if not said:
                    try:
                        await self.deployments.move(one, to)
                        moved.append(one)
                    except NoDeployments:
                        raise
                    except DeploymentRefused as no:
                        said = str(no)
                if said:
                    refused[one] = said
                show(len(ids) - done)
        for line in self._of_moves(to, moved, refused):
            self.console.print(line, markup=False)
        return int(bool(refused)), {"moved": moved, "refused": refused}

    def _of_moves(self, to: str, moved: Sequence[str], refused: dict[str, str]) -> Iterator[str]:
        yield f"{counted(len(moved), 'workflow')} will go on on {to}, from the next task on"
        for one, said in list(refused.items())[:_FEW]:
            yield f"not moved: {one}: {said}"
        if len(refused) > _FEW:
            yield f"and {len(refused) - _FEW} more: --json lists all"

    async def _replay_mistake(self, workflow_id: str) -> str:
        """What the code here does otherwise than the history says; empty: nothing."""
        try:
            history = await self.client.get_workflow_handle(workflow_id).fetch_history()
        except Exception as error:  # noqa: BLE001  # one of many, and it is said which
            return str(error)
        replayer = Replayer(
            workflows=self.workflows,
            data_converter=self.client.data_converter,
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        replayed = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        failure = replayed.replay_failure
        return "" if failure is None else f"the code here asks for other steps: {failure}"

    async def _wake_processes(self, build_id: str) -> None:
        types = [
            definition.name
            for one in self.workflows
            if issubclass(one, MovesOn)
            # The SDK has no other way to the name.
            and (definition := workflow._Definition.must_from_class(one)).name  # noqa: SLF001
        ]
        if not types:
            return
        async for one in self.deployments.running_on(build_id, types):
            await self.deployments.wake(one)
            await asyncio.sleep(1 / _WAKES_A_SECOND)

    async def _check_polls(self, build_id: str) -> None:
        """Raises NotYet. Temporal itself takes a worker that stopped minutes ago for one."""
        version = (await self.deployments.describe()).version(build_id)
        if not version.workers:
            raise NotYet(
                f"no worker of {build_id} polls: start one with HANDRAIL_BUILD_ID={build_id}"
            )

    async def _until_possible(self, attempt: Callable[[], Awaitable[T]], within: float) -> T:
        deadline = time.monotonic() + within
        while True:
            try:
                return await attempt()
            except NotYet:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(min(LOOKS_EVERY, max(0.0, deadline - time.monotonic())))

    @contextmanager
    def _bar(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Is shown how many are left."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self.console) as progress:
            task = progress.add_task(what, total=total)
            most = total

            def show(left: int) -> None:
                nonlocal most
                most = max(most, left)  # a saga of the version may have begun others
                progress.update(task, completed=most - left, total=most)

            yield show


def table_of(found: Deployment) -> Table:
    table = Table(
        (
            Column("version"),
            Column("state"),
            Column("running", right=True),
            Column("parked", right=True, rank=1),
            Column("workers", right=True),
            Column("first seen", rank=2),
        )
    )
    for one in found.versions:
        state = f"ramping {one.percent:g} %" if one.state == "ramping" else one.state
        numbers = (str(one.running), str(one.parked), str(one.workers))
        table.add(one.build_id, state, *numbers, f"{one.created_at:%F %T}")
    if found.unversioned_running or found.unversioned_workers:
        numbers = (str(found.unversioned_running), "", str(found.unversioned_workers))
        table.add("(none)", "" if found.current else "current", *numbers, "")
    return table


def remarks(found: Deployment) -> Iterator[str]:
    if found.current is None:
        yield (
            "no version is current: what begins goes to workers without a build id. To change that:"
            " handrail deploy promote VERSION"
        )
    for one in found.versions:
        yield from _remarks_on(one, found)


def _remarks_on(one: Version, found: Deployment) -> Iterator[str]:
    if one.is_stranded:
        to = found.current.build_id if found.current else "VERSION"
        yield (
            f"{one.build_id}: {counted(one.running, 'workflow')} wait, for no worker of it polls."
            f" Start one with HANDRAIL_BUILD_ID={one.build_id}, or have them go on elsewhere:"
            f" handrail deploy move --from {one.build_id} --to {to}"
        )
    elif one.state == "draining" and one.parked:
        yield (
            f"{one.build_id}: {counted(one.parked, 'saga')} of those that run wait for a person:"
            " handrail sagas list --status parked"
        )
    if one.state in {"drained", "new"} and one.running == 0 and one.workers:
        what = "is drained" if one.state == "drained" else "was never current"
        yield f"{one.build_id} {what}: its {counted(one.workers, 'worker')} can be stopped"
    elif one.state == "drained" and one.running == 0:
        yield f"{one.build_id} is drained"


def as_json(found: Deployment) -> dict[str, Any]:
    ramping = next((one for one in found.versions if one.state == "ramping"), None)
    return {
        "deployment": found.name,
        "current": found.current.build_id if found.current else None,
        "ramping": {"build_id": ramping.build_id, "percent": ramping.percent} if ramping else None,
        "versions": [
            {
                "build_id": one.build_id,
                "state": one.state,
                "running": one.running,
                "parked": one.parked,
                "workers": one.workers,
                "stranded": one.is_stranded,
                "first_seen_at": one.created_at.isoformat(),
            }
            for one in found.versions
        ],
        "unversioned": {
            "running": found.unversioned_running,
            "workers": found.unversioned_workers,
        },
        "changed_by": found.changed_by,
    }
