"""RabbitMQ as it is installed on this machine, over a folder of ours."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import httpx

from handrail.dev.private_files import private_folder
from handrail.dev.supervisor import Child, FailedToStart, free_port, inherited

ADMINISTRATOR: Final = "handrail"
_NODE: Final = "handrail@localhost"
PLUGINS: Final = (
    "rabbitmq_management",
    "rabbitmq_federation",
    "rabbitmq_federation_management",
)
_WHERE_IT_IS: Final = "lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"
_ERLANG: Final = (
    "+sbwt none +sbwtdcpu none +sbwtdio none"  # who has nothing to do leaves the processors
    " -kernel inet_dist_use_interface {127,0,0,1}"
)
_STARTS_WITHIN: Final = 90  # seconds


def server_program() -> Path:
    """The server's own script. The one that Debian puts on the PATH changes the user and the log.

    Raises FailedToStart where there is none.
    """
    packaged = sorted(Path("/usr").glob(_WHERE_IT_IS))
    if found := packaged[-1:] or [Path(one) for one in [shutil.which("rabbitmq-server")] if one]:
        return found[0]
    raise FailedToStart(
        "rabbitmq", "is not installed: apt-get install rabbitmq-server, or set HANDRAIL_BROKER_URL "
        "to a server of yours",
    )  # fmt: skip


def is_installed() -> bool:
    try:
        server_program()
    except FailedToStart:
        return False
    return True


class EmbeddedRabbitMQ:
    """A server over one data folder. It can be killed, and started again on the same ports.

    It has an epmd of its own, so that it neither meets other Erlang nodes nor leaves one behind.
    `definitions` is a file of definitions that it imports whenever it starts.
    """

    def __init__(self, data_dir: Path, *, definitions: Path | None = None) -> None:
        self.data_dir = data_dir.resolve()
        self._definitions = definitions
        self._password_file = self.data_dir / "password"
        self._ports: tuple[int, int, int, int] | None = None
        self._epmd = self._child("epmd", [])
        self._server = self._child("rabbitmq", [])

    @property
    def url(self) -> str:
        """Of the administrator, without a virtual host."""
        return f"amqp://{self._login}@127.0.0.1:{self._port(0)}"

    @property
    def management_url(self) -> str:
        return f"http://{self._login}@127.0.0.1:{self._port(1)}"

    @property
    def pages(self) -> str:
        """Where a person looks, and who may."""
        address = f"http://127.0.0.1:{self._port(1)}"
        return f"{address} ({ADMINISTRATOR}, with the password in {self._password_file})"

    @property
    def pid(self) -> int:
        return self._server.pid

    @property
    def running(self) -> bool:
        return self._server.running

    @property
    def log(self) -> Path:
        return self._server.log

    def log_tail(self, lines: int = 15) -> str:
        return self._server.log_tail(lines)

    async def start(self) -> Self:
        program = server_program()
        self._prepare()
        await self._start_epmd()
        self._server = self._child("rabbitmq", [str(program)])
        self._server.spawn()
        try:
            await self._server.ready(self._serves, _STARTS_WITHIN)
        except BaseException:
            await self.kill()
            raise
        return self

    async def stop(self) -> None:
        await self._server.stop()
        await self._epmd.stop()

    async def kill(self) -> None:
        """Crash it: what was confirmed is on disk, and is there at the next start."""
        await self._server.kill()
        await self._epmd.kill()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def _login(self) -> str:
        return f"{ADMINISTRATOR}:{self._password_file.read_text()}"

    def _port(self, number: int) -> int:
        if self._ports is None:
            raise RuntimeError("rabbitmq was not started")
        return self._ports[number]

    def _prepare(self) -> None:
        private_folder(self.data_dir)
        if not self._password_file.exists():
            _write_for_us_only(self._password_file, secrets.token_hex(16))
        self._ports = self._ports or (free_port(), free_port(), free_port(), free_port())
        amqp, management, _, _ = self._ports
        lines: dict[str, object] = {
            "listeners.tcp.1": f"127.0.0.1:{amqp}",
            "management.tcp.ip": "127.0.0.1",
            "management.tcp.port": management,
            "default_user": ADMINISTRATOR,  # counts at the first start only
            "default_pass": self._password_file.read_text(),
            "disk_free_limit.absolute": "64MB",
            "raft.wal_max_size_bytes": 64 * 1024 * 1024,
            "log.console": "true",
            "log.console.level": "warning",
            "log.file": "false",
        }
        if self._definitions is not None:
            lines["load_definitions"] = self._definitions.resolve()
        _write_for_us_only(
            self.data_dir / "rabbitmq.conf",
            "".join(f"{name} = {value}\n" for name, value in lines.items()),
        )
        _write_for_us_only(self.data_dir / "plugins", f"[{','.join(PLUGINS)}].\n")

    async def _start_epmd(self) -> None:
        """Before the server, which else starts one that outlives everybody."""
        if self._epmd.running:
            return
        epmd = shutil.which("epmd")
        if epmd is None:
            raise FailedToStart("rabbitmq", "has no epmd: it comes with Erlang, erlang-base")
        command = [epmd, "-port", str(self._port(2)), "-address", "127.0.0.1"]
        self._epmd = self._child("epmd", command)
        self._epmd.spawn()

        async def listens() -> bool:
            return free_port(self._port(2)) != self._port(2)

        await self._epmd.ready(listens, seconds=10)

    def _child(self, name: str, command: list[str]) -> Child:
        return Child(
            name,
            command,
            log=self.data_dir / f"{name}.log",
            environment={**inherited(), **self._environment()} if command else None,
            stop_seconds=30,
        )

    def _environment(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.data_dir),  # where the cookie is
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(self.data_dir / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.data_dir / "plugins"),
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_MNESIA_BASE": str(self.data_dir / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.data_dir),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_DIST_PORT": str(self._port(3)),
            "ERL_EPMD_PORT": str(self._port(2)),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # The script then becomes the server: signals reach it, and its pid is the server's.
            "RUNNING_UNDER_SYSTEMD": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        }

    async def _serves(self) -> bool:
        """The port of AMQP is opened last."""
        url = f"{self.management_url}/api/health/checks/port-listener/{self._port(0)}"
        try:
            async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False


def _write_for_us_only(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
