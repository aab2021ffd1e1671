"""Connections to servers that demand certificates: made with the right ones, refused without."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aio_pika
import httpx
import psycopg
import pytest
from aiohttp import ClientSession
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from handrail.activities.company_access import company_access
from handrail.activities.http_gateway import HttpGateway, OutsideUnavailable
from handrail.connections import store_engine, store_pool
from handrail.dev import broker_users
from handrail.dev.broker_topology import establish
from handrail.dev.supervisor import FailedToStart, free_port
from handrail.messaging.broker.address import address_of
from handrail.messaging.broker.address import certificates as query_of
from handrail.messaging.broker.topology import topology
from handrail.messaging.relay.publisher import Publisher
from handrail.notifications.provider import HttpProvider, Letter, Taken, Unclear
from handrail.processes.asgi_server import serve
from handrail.processes.server_certificate import ServerCertificate
from handrail.replies import Accepted
from handrail.settings import load
from handrail.temporal.connection import connect
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.servers.certificates import Certificates, certificates
from tests.servers.tls import (
    TlsRabbitMQ,
    needs_rabbitmq,
    needs_tls_postgres,
    postgres_with_openssl,
    tls_in_front_of,
    tls_postgres,
)

SETTINGS: Any = HANDRAIL.settings_type


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


WAYS = ("right", "no certificate", "a stranger's certificate", "another authority")
each_wrong_way = pytest.mark.parametrize("way", WAYS[1:])


def shown(made: Certificates, prefix: str, way: str) -> dict[str, Any]:
    """The settings of a connection."""
    pair = made.stranger if way == "a stranger's certificate" else made.client
    found = {
        f"{prefix}_ca_file": made.other_ca if way == "another authority" else made.ca,
        f"{prefix}_cert_file": pair.cert,
        f"{prefix}_key_file": pair.key,
    }
    return {f"{prefix}_ca_file": made.ca} if way == "no certificate" else found


class TestTemporal:
    @pytest.fixture
    async def address(
        self, temporal: WorkflowEnvironment, made: Certificates
    ) -> AsyncIterator[str]:
        target = temporal.client.service_client.config.target_host
        async with tls_in_front_of(target.replace("localhost", "127.0.0.1"), made, "h2") as found:
            yield found

    async def connected(self, **settings: Any) -> Client:
        return await connect(ShopSettings(**settings), HANDRAIL.codec)

    async def test_a_client_with_its_certificate_is_let_in(
        self, address: str, made: Certificates
    ) -> None:
        client = await self.connected(
            temporal_address=address, **shown(made, "temporal_tls", "right")
        )
        assert await client.service_client.check_health()

    @each_wrong_way
    async def test_no_other_is_let_in(self, address: str, made: Certificates, way: str) -> None:
        with pytest.raises(RuntimeError):
            await self.connected(temporal_address=address, **shown(made, "temporal_tls", way))

    async def test_the_name_in_the_servers_certificate_counts(
        self, address: str, made: Certificates
    ) -> None:
        files = shown(made, "temporal_tls", "right")
        right = await self.connected(
            temporal_address=address, temporal_tls_server_name="localhost", **files
        )
        assert await right.service_client.check_health()
        with pytest.raises(RuntimeError):
            await self.connected(
                temporal_address=address, temporal_tls_server_name="elsewhere.example", **files
            )

    async def test_in_clear_nothing_is_said_to_it(self, address: str) -> None:
        with pytest.raises(RuntimeError):
            await self.connected(temporal_address=address)

    async def test_an_api_key_goes_over_tls_alone(self, address: str, made: Certificates) -> None:
        client = await self.connected(
            temporal_address=address,
            temporal_api_key="an-api-key",
            **shown(made, "temporal_tls", "right"),
        )
        assert client.api_key == "an-api-key"
        assert await client.service_client.check_health()
        with pytest.raises(RuntimeError):  # the authorities of the machine do not know this server
            await self.connected(temporal_address=address, temporal_api_key="an-api-key")


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory, made: Certificates) -> AsyncIterator[str]:
    programs = postgres_with_openssl()
    assert programs
    folder = tmp_path_factory.mktemp("tls") / "postgres"
    async with tls_postgres(folder, made, programs) as url:
        yield url


@needs_tls_postgres
class TestPostgres:
    def settings(
        self, monkeypatch: pytest.MonkeyPatch, url: str, made: Certificates, way: str
    ) -> ShopSettings:
        monkeypatch.setenv("HANDRAIL_DATABASE_URL", url)
        monkeypatch.setenv("HANDRAIL_DATABASE_ROLE", "")
        for name, path in shown(made, "database", way).items():
            monkeypatch.setenv(f"HANDRAIL_{name.upper()}", str(path))
        found: ShopSettings = load(SETTINGS)
        return found

    async def test_pool_and_engine_show_their_certificate(
        self, monkeypatch: pytest.MonkeyPatch, url: str, made: Certificates
    ) -> None:
        settings = self.settings(monkeypatch, url, made, "right")
        encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        async with store_pool(settings, size=1, name="test") as pool, pool.connection() as one:
            assert await (await one.execute(encrypted)).fetchone() == (True,)
        async with await psycopg.AsyncConnection.connect(str(settings.database_url)) as other:
            assert await (await other.execute(encrypted)).fetchone() == (True,)

    async def test_the_url_alone_will_do(self, url: str, made: Certificates) -> None:
        query = {
            "sslmode": "verify-full",
            "sslrootcert": made.ca,
            "sslcert": made.client.cert,
            "sslkey": made.client.key,
        }
        said = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        settings = ShopSettings(database_url=f"{url}?{said}", database_role="")
        async with store_pool(settings, size=1, name="test") as pool, pool.connection() as one:
            await one.execute("SELECT 1")

    @each_wrong_way
    async def test_no_other_is_let_in(
        self, monkeypatch: pytest.MonkeyPatch, url: str, made: Certificates, way: str
    ) -> None:
        settings = self.settings(monkeypatch, url, made, way)
        with pytest.raises(psycopg.OperationalError):
            await psycopg.AsyncConnection.connect(str(settings.database_url))
        async with store_engine(settings, size=1) as engine:
            with pytest.raises(OperationalError):
                async with engine.connect() as one:
                    await one.execute(text("SELECT 1"))

    async def test_a_new_password_is_used_by_new_connections(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        url: str,
        made: Certificates,
    ) -> None:
        owner = self.settings(monkeypatch, url, made, "right")
        _, _, address = url.rpartition("@")
        file = tmp_path / "url"
        monkeypatch.delenv("HANDRAIL_DATABASE_URL")
        monkeypatch.setenv("HANDRAIL_DATABASE_URL_FILE", str(file))
        async with await psycopg.AsyncConnection.connect(
            str(owner.database_url), autocommit=True
        ) as admin:
            await admin.execute("CREATE ROLE renewed LOGIN PASSWORD 'before'")
            file.write_text(f"postgresql://renewed:before@{address}\n")
            settings: ShopSettings = load(SETTINGS)
            async with (
                store_pool(settings, size=2, name="test") as pool,
                pool.connection() as first,
            ):
                await first.execute("SELECT 1")
                await admin.execute("ALTER ROLE renewed PASSWORD 'after'")
                file.write_text(f"postgresql://renewed:after@{address}\n")
                async with pool.connection() as second:
                    await second.execute("SELECT 1")


@pytest.fixture(scope="module")
async def broker(
    tmp_path_factory: pytest.TempPathFactory, made: Certificates
) -> AsyncIterator[TlsRabbitMQ]:
    async with TlsRabbitMQ(tmp_path_factory.mktemp("tls") / "rabbitmq", made) as broker:
        yield broker


@needs_rabbitmq
class TestRabbitMQ:
    def settings(self, broker: TlsRabbitMQ, made: Certificates, way: str) -> ShopSettings:
        users = topology(HANDRAIL.routing, HANDRAIL.consumers).users
        return ShopSettings(
            **broker_users.addresses(broker, users),
            **shown(made, "broker", way),
            broker_federation_query=broker.federation_query,
        )

    @pytest.mark.journey
    async def test_topology_relay_and_consumers_show_their_certificate(
        self, broker: TlsRabbitMQ, made: Certificates
    ) -> None:
        """The topology is only established once federation runs, which is a client, too."""
        settings = self.settings(broker, made, "right")
        await establish(HANDRAIL, settings)
        home = HANDRAIL.routing.broker.home
        url = str(settings.broker_url_of("relay"))
        async with Publisher(url, home, certificates=query_of(settings)) as publisher:
            await publisher._channel("commerce")
            assert publisher.is_connected
        for one in HANDRAIL.consumers:
            address = address_of(settings, one.vhost, one.vhost)
            async with await aio_pika.connect(address, timeout=5) as connection:
                assert not connection.is_closed

    @pytest.mark.journey
    @each_wrong_way
    async def test_no_other_is_let_in(
        self, broker: TlsRabbitMQ, made: Certificates, way: str
    ) -> None:
        settings = self.settings(broker, made, way)
        with pytest.raises(FailedToStart, match="does not answer"):
            await establish(HANDRAIL, settings)
        with pytest.raises((OSError, ConnectionError)):
            await aio_pika.connect(address_of(settings, "handrail", "/"), timeout=5)


TOKEN = "t0ken"
LETTER = Letter(key="k", channel="email", to="a@b.example", subject="s", body="b")


async def answer(request: Request) -> JSONResponse:
    if request.headers.get("authorization") not in request.app.state.trusted:
        return JSONResponse({"code": "who?"}, 401)
    return JSONResponse({"status": "approved", "reference": "r-1", "id": "m-1"})


@asynccontextmanager
async def listening(
    certificate: ServerCertificate, *tokens: str
) -> AsyncIterator[tuple[str, Starlette]]:
    """A company that demands a client's certificate and a token."""
    routes = [Route(path, answer, methods=["POST"]) for path in ("/holds", "/messages")]
    app, port, stop = Starlette(routes=routes), free_port(), asyncio.Event()
    app.state.trusted = {f"Bearer {one}" for one in tokens}
    settings = ShopSettings()
    serving = asyncio.create_task(
        serve(app, settings, "127.0.0.1", port, stop, certificate=certificate)
    )
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                break
        yield f"https://127.0.0.1:{port}", app
    finally:
        stop.set()
        await serving


def of_server(made: Certificates, **more: Any) -> ServerCertificate:
    return ServerCertificate(made.server.cert, made.server.key, made.ca, **more)


def client_context(made: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=made.ca)
    context.load_cert_chain(made.client.cert, made.client.key)
    return context


class TestOtherCompanies:
    def settings(self, made: Certificates, company: str, way: str, token: str) -> ShopSettings:
        given: Mapping[str, Any] = {**shown(made, company, way), f"{company}_token": token}
        return ShopSettings(**given)

    async def asks(self, settings: ShopSettings, url: str) -> Any:
        async with ClientSession() as session:
            gateway = HttpGateway(session, url, access=company_access(settings, "bank"))
            return await gateway.request("/holds", key="k", body={})

    async def test_a_step_shows_its_certificate_and_its_token(self, made: Certificates) -> None:
        async with listening(of_server(made), TOKEN) as (url, _):
            settings = self.settings(made, "bank", "right", TOKEN)
            assert await self.asks(settings, url) == Accepted(reference="r-1")

    @pytest.mark.quick(1)
    @each_wrong_way
    async def test_without_the_right_certificates_there_is_no_answer(
        self, made: Certificates, way: str
    ) -> None:
        async with listening(of_server(made), TOKEN) as (url, _):
            with pytest.raises(OutsideUnavailable):
                await self.asks(self.settings(made, "bank", way, TOKEN), url)

    async def test_a_token_is_read_again_when_its_file_changes(
        self, made: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        file = tmp_path / "token"
        file.write_text("before\n")
        monkeypatch.setenv("HANDRAIL_BANK_TOKEN_FILE", str(file))
        for name, path in shown(made, "bank", "right").items():
            monkeypatch.setenv(f"HANDRAIL_{name.upper()}", str(path))
        settings: ShopSettings = load(SETTINGS)
        async with listening(of_server(made), "before") as (url, app), ClientSession() as session:
            gateway = HttpGateway(session, url, access=company_access(settings, "bank"))
            assert await gateway.request("/holds", key="k", body={})
            app.state.trusted = {"Bearer after"}
            file.write_text("after\n")
            assert await gateway.request("/holds", key="k", body={}) == Accepted(reference="r-1")

    @pytest.mark.quick(1)
    @each_wrong_way
    async def test_a_provider_that_refuses_us_has_taken_nothing(
        self, made: Certificates, way: str
    ) -> None:
        access = company_access(self.settings(made, "provider", way, TOKEN), "provider")
        async with (
            listening(of_server(made), TOKEN) as (url, _),
            httpx.AsyncClient(base_url=url, verify=access.tls or True) as client,
        ):
            assert isinstance(await HttpProvider(client).carry(LETTER), Unclear)

    @pytest.mark.parametrize("token", [TOKEN, "another"])
    async def test_the_provider_of_messages_is_shown_both(
        self, made: Certificates, token: str
    ) -> None:
        access = company_access(self.settings(made, "provider", "right", token), "provider")
        async with (
            listening(of_server(made), TOKEN) as (url, _),
            httpx.AsyncClient(base_url=url, verify=access.tls or True) as client,
        ):
            answered = await HttpProvider(client, headers=access.headers).carry(LETTER)
        assert isinstance(answered, Taken if token == TOKEN else Unclear)


class TestApiListener:
    async def test_it_demands_a_certificate_where_authorities_are_set(
        self, made: Certificates
    ) -> None:
        async with listening(of_server(made), TOKEN) as (url, _):
            async with httpx.AsyncClient(verify=client_context(made)) as client:
                assert (await client.post(f"{url}/holds")).status_code == 401
            without = ssl.create_default_context(cafile=made.ca)
            async with httpx.AsyncClient(verify=without) as client:
                with pytest.raises(httpx.TransportError):
                    await client.post(f"{url}/holds")

    async def test_a_new_certificate_is_taken_up_without_a_restart(
        self, made: Certificates, tmp_path: Path
    ) -> None:
        for name, path in (("cert.pem", made.server.cert), ("key.pem", made.server.key)):
            shutil.copy(path, tmp_path / name)
        newer = certificates(tmp_path / "newer")
        listener = ServerCertificate(tmp_path / "cert.pem", tmp_path / "key.pem", looks_every=0.02)
        async with listening(listener, TOKEN) as (url, _), AsyncExitStack() as stack:
            context = ssl.create_default_context(cafile=newer.ca)
            client = await stack.enter_async_context(httpx.AsyncClient(verify=context))
            with pytest.raises(httpx.ConnectError):
                await client.post(f"{url}/holds")
            shutil.copy(newer.server.cert, tmp_path / "cert.pem")
            shutil.copy(newer.server.key, tmp_path / "key.pem")
            async with asyncio.timeout(10):
                while True:
                    try:
                        found = await client.post(f"{url}/holds")
                    except httpx.ConnectError:
                        await asyncio.sleep(0.02)
                    else:
                        break
        assert json.loads(found.content) == {"code": "who?"}
