"""One house for all these tests: a database, workers, a projector, and the API on a real port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from fastapi import FastAPI, Request, Response
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, Interceptor
from temporalio.testing import WorkflowEnvironment

from activities.payments.gateway import HttpBank
from activities.settlement.gateway import HttpRegistry
from activities.shipping.gateway import HttpCarrier
from handrail.access.authentication import Authentication, Development
from handrail.activities.http_gateway import HttpGateway, open_session
from handrail.database_engine import open_engine
from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import EventStore
from handrail.http.database import Database
from handrail.http.dependencies import WebhookTrust
from handrail.http.personal_texts import SagaTexts
from handrail.http.temporal_gateway import TemporalGateway
from handrail.privacy.texts import PersonalTexts
from handrail.processes.http_application import create_app
from handrail.processes.worker import with_boards, with_saga_streams
from handrail.projections.projector import Runner
from handrail.projections.retry_requested import keep_retrying
from handrail.simulators.in_process import served
from handrail.temporal.client import workers
from runtime.activities import of_contexts
from runtime.app import HANDRAIL
from runtime.simulators.bank import create_bank
from runtime.simulators.carrier import create_carrier
from runtime.simulators.registry import create_registry
from tests.api.delivery import Contexts
from tests.api.shop import Shop, open_shop
from tests.privacy.keyed import in_database
from tests.temporal import DATA_CONVERTER
from tests.unencrypted import a_client
from workflows.options import ShopOptions

DEVELOPMENT = Development(HANDRAIL.access)
API, WORKER, PROJECTOR = "handrail_api", "handrail_worker", "handrail_projector"
"""What the processes of a house may do: no more than their own logins."""


@dataclass(frozen=True)
class House:
    database: str
    engine: AsyncEngine
    temporal: Client
    queue_prefix: str
    personal: PersonalTexts
    unanswered: set[str] = field(default_factory=set)
    """What the bank answers with 503 and does not do, by the paths: such as /captures."""

    @property
    def processes(self) -> TemporalGateway:
        """The way into Temporal that an API of this house has."""
        options = ShopOptions(queue_prefix=self.queue_prefix)
        types, rules = HANDRAIL.saga_types, HANDRAIL.rule_problems
        texts = SagaTexts(self.personal, Database(self.engine), self.temporal, types)
        return TemporalGateway(
            self.temporal, options, types, rules, texts=texts, shapes=HANDRAIL.shapes
        )

    async def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """As the owner, beside the API."""
        async with await psycopg.AsyncConnection.connect(
            self.database, autocommit=True
        ) as connection:
            cursor = await connection.execute(query, parameters)
            if (cursor.statusmessage or "").startswith("SELECT"):
                return await cursor.fetchall()
            return []

    @asynccontextmanager
    async def api(
        self,
        *,
        engine: AsyncEngine | None = None,
        temporal: Client | None = None,
        authentication: Authentication | None = None,
        four_eyes: bool = False,
        webhooks_from: WebhookTrust | None = None,
        stopping: asyncio.Event | None = None,
        sagas_per_merchant: int = 0,
        bounds: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(
            HANDRAIL,
            engine or self.engine,
            temporal or self.temporal,
            ShopOptions(**{"queue_prefix": self.queue_prefix, **options}),
            temporal_ui="http://ui.example",
            authentication=authentication or DEVELOPMENT,
            four_eyes=four_eyes,
            webhooks_from=webhooks_from,
            stopping=stopping,
            sagas_per_tenant=sagas_per_merchant,
            personal=self.personal,
            **(bounds or {}),
        )
        async with (
            served(app) as address,
            a_client(address, timeout=30) as client,
        ):
            yield client


def away_from(unanswered: Collection[str], company: FastAPI) -> FastAPI:
    """The company, which answers 503 to requests of these paths."""

    @company.middleware("http")
    async def answer(request: Request, serve: Callable[[Request], Awaitable[Response]]) -> Response:
        return Response(status_code=503) if request.url.path in unanswered else await serve(request)

    return company


@asynccontextmanager
async def open_house(
    postgres: EmbeddedPostgres,
    template: str,
    temporal: WorkflowEnvironment,
    interceptors: Sequence[Interceptor] = (),
) -> AsyncIterator[House]:
    """With a database and task queues that no other house has; `template` has all read models."""
    name = f"handrail_api_{uuid4().hex[:8]}"
    await _administer(
        postgres.url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"
    )
    url = postgres.url_of(name)
    # Not the environment's own client: an order is delivered when a test says so, and not as soon
    # as nothing else is to do.
    client = Client(
        temporal.client.service_client, data_converter=DATA_CONVERTER, interceptors=interceptors
    )
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(url, role=API))
        personal = await stack.enter_async_context(in_database(url))
        house = House(url, engine, client, f"{uuid4().hex[:8]}.", personal)
        await stack.enter_async_context(_at_work(house))
        yield house
    await _administer(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="package")
async def house(
    postgres: EmbeddedPostgres, template_with_read_models: str, temporal: WorkflowEnvironment
) -> AsyncIterator[House]:
    async with open_house(postgres, template_with_read_models, temporal) as house:
        yield house


@asynccontextmanager
async def _at_work(house: House) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(house.database, role=WORKER, size=16))
        boards = await stack.enter_async_context(open_engine(house.database, role=WORKER, size=2))
        bank = await stack.enter_async_context(
            served(away_from(house.unanswered, create_bank(None)))
        )
        carrier = await stack.enter_async_context(served(create_carrier(None)))
        registry = await stack.enter_async_context(served(create_registry(None)))
        session = await stack.enter_async_context(open_session())
        store = EventStore(pool, HANDRAIL.codec, house.personal)
        shops = of_contexts(
            store,
            boards,
            HttpBank(HttpGateway(session, bank)),
            HttpCarrier(HttpGateway(session, carrier)),
            HttpRegistry(HttpGateway(session, registry)),
        )
        activities = with_saga_streams(shops, store, HANDRAIL.codec)
        activities = with_boards(
            activities, store, house.temporal, boards, HANDRAIL.saga_board.table
        )
        stop = asyncio.Event()
        feed = await stack.enter_async_context(open_pool(house.database, role=PROJECTOR, size=3))
        runner = Runner(feed, HANDRAIL.read_models, HANDRAIL.codec, poll=0.02)
        projector = asyncio.create_task(runner.run(stop))
        retrying = asyncio.create_task(keep_retrying(feed, HANDRAIL.read_models, HANDRAIL.codec))
        for worker in workers(
            house.temporal,
            activities,
            list(activities),
            workflows=HANDRAIL.all_workflows,
            queue_prefix=house.queue_prefix,
            shutdown=timedelta(0),
        ):
            await stack.enter_async_context(worker)
        yield
        stop.set()
        retrying.cancel()
        await asyncio.gather(projector, retrying, return_exceptions=True)


@pytest.fixture(scope="package")
def contexts(house: House) -> Contexts:
    return Contexts(house.temporal, house.queue_prefix)


@pytest.fixture(scope="package")
async def api(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.api() as client:
        yield client


@pytest.fixture(scope="package")
async def impatient(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Whose sagas park soon."""
    async with house.api(deadline_seconds=10, patience_seconds=0.5) as client:
        yield client


@pytest.fixture
async def shop(api: httpx.AsyncClient) -> Shop:
    return await open_shop(api)


async def _administer(url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(statement)
