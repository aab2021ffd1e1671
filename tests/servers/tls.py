"""Servers that demand certificates: PostgreSQL and RabbitMQ as they are installed on this machine,
and the development server of Temporal behind a proxy, since it has no TLS of its own.

The embedded PostgreSQL is built without OpenSSL. One that has it is taken from the folder of its
programs that TLS_POSTGRES names, or from the distribution. Handrail needs PostgreSQL 17; where no
such one has OpenSSL, the embedded one is put behind a proxy, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.rabbitmq import EmbeddedRabbitMQ, is_installed
from handrail.dev.supervisor import Child, free_port
from tests.servers.certificates import Certificates, demanding

_OWNER: Final = "postgres"
_UNPRIVILEGED: Final = "nobody"
_USABLE: Final = 17
"""The first version of PostgreSQL that Handrail can use."""
needs_rabbitmq = pytest.mark.skipif(
    not is_installed() and os.environ.get("REQUIRE_TLS") != "1",
    reason="NOT TESTED: rabbitmq-server is not installed (apt-get install it)",
)


def postgres_with_openssl(*, at_least: int = 10) -> Path | None:
    """The folder of its programs; None where there is none of that age."""
    if named := os.environ.get("TLS_POSTGRES"):
        return Path(named)
    folders = {float(one.parent.name): one for one in Path("/usr/lib/postgresql").glob("*/bin")}
    found = [version for version in folders if version >= at_least]
    return folders[max(found)] if found else None


needs_tls_postgres = pytest.mark.skipif(
    postgres_with_openssl() is None and os.environ.get("REQUIRE_TLS") != "1",
    reason="NOT TESTED: no PostgreSQL with OpenSSL is installed (apt-get install postgresql)",
)


@asynccontextmanager
async def demanding_postgres(folder: Path, made: Certificates) -> AsyncIterator[str]:
    """As `tls_postgres`, of an age that Handrail can use, behind a proxy where it must be."""
    programs = postgres_with_openssl(at_least=_USABLE)
    if programs is not None:
        async with tls_postgres(folder, made, programs) as url:
            yield url
        return
    async with EmbeddedPostgres(folder) as server:
        parts = urlsplit(server.url)
        login, _, address = parts.netloc.rpartition("@")
        async with tls_in_front_of(address, made, "postgresql") as proxy:
            netloc = f"{login}@{proxy}"
            yield parts._replace(netloc=netloc, query="sslnegotiation=direct").geturl()


@asynccontextmanager
async def tls_postgres(folder: Path, made: Certificates, programs: Path) -> AsyncIterator[str]:
    """The URL of a database on a server that takes nothing but TLS with a client's certificate."""
    uid = pwd.getpwnam(_UNPRIVILEGED).pw_uid if os.geteuid() == 0 else -1
    cluster, pwfile, password = folder / "cluster", folder / "password", secrets.token_urlsafe(12)
    _lay_out(folder, made, password, uid)
    initdb = [str(programs / "initdb"), "-D", str(cluster), "-U", _OWNER, "-E", "UTF8"]
    auth = ["--locale", "C", "--auth", "scram-sha-256", "--pwfile", str(pwfile)]
    await _ends(Child("initdb", [*initdb, *auth], log=folder / "initdb.log", uid=uid))
    hba = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n"
    (cluster / "pg_hba.conf").write_text(hba)
    port = free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
        "fsync": "off",
        "ssl": "on",
        "ssl_cert_file": str(folder / "server.pem"),
        "ssl_key_file": str(folder / "server.key"),
        "ssl_ca_file": str(folder / "ca.pem"),
    }
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    command = [str(programs / "postgres"), "-D", str(cluster), *words]
    server = Child("postgres", command, log=folder / "server.log", uid=uid)
    server.spawn()
    shown = _query(made)

    async def answers() -> bool:
        try:
            url = f"postgresql://{_OWNER}:{password}@127.0.0.1:{port}/postgres?{shown}"
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute("CREATE DATABASE handrail")
                return True
        except psycopg.OperationalError:
            return False

    try:
        await server.ready(answers, seconds=60)
        yield f"postgresql://{_OWNER}:{password}@127.0.0.1:{port}/handrail"
    finally:
        await server.kill()


def _lay_out(folder: Path, made: Certificates, password: str, uid: int) -> None:
    folder.mkdir(parents=True)
    for path, content in ((folder / "password", password), *_of_server(folder, made)):
        path.touch(mode=0o600)
        path.write_text(content)
    if uid >= 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, uid, uid)


def _of_server(folder: Path, made: Certificates) -> list[tuple[Path, str]]:
    files = {"server.pem": made.server.cert, "server.key": made.server.key, "ca.pem": made.ca}
    return [(folder / name, path.read_text()) for name, path in files.items()]


def _query(made: Certificates) -> str:
    files = f"sslcert={made.client.cert}&sslkey={made.client.key}&sslrootcert={made.ca}"
    return f"sslmode=verify-full&{files}"


async def _ends(child: Child) -> None:
    child.spawn()
    if await child.exited():
        raise RuntimeError(f"{child.name} failed: {child.log_tail()}")


class TlsRabbitMQ(EmbeddedRabbitMQ):
    """No listener but those that demand a certificate of each client, management among them."""

    def __init__(self, data_dir: Path, made: Certificates) -> None:
        super().__init__(data_dir)
        self._made = made

    @property
    def url(self) -> str:
        return super().url.replace("amqp://", "amqps://", 1)

    @property
    def management_url(self) -> str:
        return super().management_url.replace("http://", "https://", 1)

    @property
    def federation_query(self) -> str:
        """With the server's own certificate: it is a client of itself."""
        made = self._made
        files = f"cacertfile={made.ca}&certfile={made.server.cert}&keyfile={made.server.key}"
        return f"{files}&verify=verify_peer&server_name_indication=localhost"

    def _prepare(self) -> None:
        super()._prepare()
        file = self.data_dir / "rabbitmq.conf"
        plain = ("listeners.tcp.1", "management.tcp.")
        kept = [one for one in file.read_text().splitlines() if not one.startswith(plain)]
        demands = {
            "cacertfile": self._made.ca,
            "certfile": self._made.server.cert,
            "keyfile": self._made.server.key,
            "verify": "verify_peer",
            "fail_if_no_peer_cert": "true",
        }
        kept += [
            "listeners.tcp = none",
            f"listeners.ssl.1 = 127.0.0.1:{self._port(0)}",
            *(f"ssl_options.{name} = {value}" for name, value in demands.items()),
            "management.ssl.ip = 127.0.0.1",
            f"management.ssl.port = {self._port(1)}",
            *(f"management.ssl.{name} = {value}" for name, value in demands.items()),
        ]
        file.write_text("\n".join(kept) + "\n")

    async def _serves(self) -> bool:
        url = f"{self.management_url}/api/health/checks/port-listener/{self._port(0)}"
        context = ssl.create_default_context(cafile=self._made.ca)
        context.load_cert_chain(self._made.client.cert, self._made.client.key)
        try:
            async with httpx.AsyncClient(timeout=5, trust_env=False, verify=context) as client:
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False


@asynccontextmanager
async def tls_in_front_of(address: str, made: Certificates, *alpn: str) -> AsyncIterator[str]:
    """The address of a proxy that demands a client's certificate, and forwards what it decrypts."""
    host, _, port = address.rpartition(":")
    writers: set[asyncio.StreamWriter] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_us = await asyncio.open_connection(host, int(port))
        writers.update((writer, from_us))
        await asyncio.gather(pump(reader, from_us), pump(to_server, writer))
        writers.difference_update((writer, from_us))

    server = await asyncio.start_server(
        serve, "127.0.0.1", 0, ssl=demanding(made, *alpn), limit=1024 * 1024
    )
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in list(writers):
            writer.close()
