"""The API process: serves the HTTP application of the App."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

from fastapi import FastAPI
from temporalio.client import Client
from temporalio.service import RetryConfig

from handrail.access.authentication import Authentication
from handrail.access.sign_in import SignIn
from handrail.app import App
from handrail.connections import store_engine
from handrail.console.session import ConsoleSessions
from handrail.eventstore.codec import Codec
from handrail.http.database import Database
from handrail.http.dependencies import WebhookTrust
from handrail.http.personal_texts import AnsweringKeys
from handrail.http.rate_limit import RateLimits, RatePolicy
from handrail.http.request_origin import LOOPBACK, RequestOrigin
from handrail.messaging.broker.operator_access import of_api
from handrail.processes.announced import announced, of_engine
from handrail.processes.asgi_server import serve
from handrail.processes.authentication import authentication_of, needs_four_eyes, way_of
from handrail.processes.http_application import create_app
from handrail.processes.personal_texts import personal_texts
from handrail.processes.server_certificate import certificate_of
from handrail.refused_settings import require
from handrail.settings import Settings
from handrail.temporal.client import data_converter
from handrail.temporal.connection import api_key_renewed, connect
from handrail.webhook_endpoints.addresses import AddressPolicy, EndpointRules
from handrail.wrongly_declared import WronglyDeclared


async def run(app: App, settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Without PostgreSQL or Temporal it starts all the same, and answers
    503 until they are there.
    """
    require(settings, "database_url", "temporal_address")
    way_of(settings)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(store_engine(settings))
        personal = await stack.enter_async_context(
            personal_texts(
                settings,
                declared=app.has_personal_fields,
                name="handrail api keys",
                keys=AnsweringKeys,
            )
        )
        await stack.enter_async_context(
            announced(of_engine(engine), app.codec, settings, "api", stop, shapes=app.shapes)
        )
        client = await connect(settings, app.codec, lazy=True)
        await stack.enter_async_context(api_key_renewed(client, settings))
        database = Database(engine)
        authentication = authentication_of(app.access, settings, database.connect)
        application = create_app(
            app,
            engine,
            client,
            app.options_of(settings),
            authentication=authentication,
            four_eyes=needs_four_eyes(settings),
            temporal_ui=settings.temporal_ui_url,
            webhooks_from=trust_of(app, settings),
            endpoint_rules=EndpointRules(
                AddressPolicy(
                    frozenset(settings.webhook_endpoint_ports), settings.auth == "development"
                ),
                settings.webhook_endpoints_per_tenant,
            ),
            sagas_per_tenant=app.sagas_per_tenant(settings),
            stopping=stop,
            as_of_events=settings.as_of_events,
            event_streams=settings.event_streams,
            event_streams_per_client=settings.event_streams_per_client,
            personal=personal,
            waiting_requests=settings.api_waiting_requests,
            rates=RateLimits(
                RatePolicy("read", settings.api_reads_per_second),
                RatePolicy("write", settings.api_writes_per_second),
            ),
            origin=origin_of(settings),
            broker=of_api(settings),
            console=ConsoleSessions(settings.console_secret, settings.console_session_seconds),
        )
        await _serve(application, settings, authentication, stop)


async def _serve(
    application: FastAPI, settings: Settings, authentication: Authentication, stop: asyncio.Event
) -> None:
    """Serve, and have written beside it when API keys were used."""
    ended = asyncio.Event()
    writing = (
        asyncio.create_task(authentication.keys.run(ended))
        if isinstance(authentication, SignIn)
        else None
    )
    try:
        await serve(
            application,
            settings,
            settings.api_host,
            settings.api_port,
            stop,
            certificate=certificate_of(settings),
        )
    finally:
        ended.set()
        if writing:
            await writing


def origin_of(settings: Settings) -> RequestOrigin:
    """The names of the API, and the pages that may send changes to it, as the settings say."""
    hosts = settings.api_hosts
    if not hosts and settings.api_host in LOOPBACK:
        hosts = LOOPBACK
    return RequestOrigin(frozenset(hosts), frozenset(settings.api_origins))


def trust_of(app: App, settings: Settings) -> WebhookTrust:
    """The secrets of the App's webhook sources, as the settings say. Raises WronglyDeclared."""
    hooks = app.webhooks()
    sources = hooks.sources if hooks else ()
    fields: dict[str, str] = {}
    for one in sources:
        if one.secrets not in type(settings).model_fields:
            raise WronglyDeclared(
                f"the webhook source {one.name} names the setting {one.secrets} for its secrets,"
                f" which {type(settings).__name__} does not have: add the field, or name another"
            )
        fields[one.name] = one.secrets
    return WebhookTrust(_CurrentSecrets(settings, fields), settings.webhook_tolerance_seconds)


class _CurrentSecrets(Mapping[str, Sequence[str]]):
    """The secrets of each source as of now: those that are in a file may change."""

    def __init__(self, settings: Settings, fields: Mapping[str, str]) -> None:
        self._settings, self._fields = settings, fields

    def __getitem__(self, source: str) -> Sequence[str]:
        found: Sequence[str] = self._settings.current(self._fields[source])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


async def lazy_client(address: str, namespace: str, codec: Codec) -> Client:
    """A client that connects when it is first needed, and gives up soon: the caller answers 503."""
    return await Client.connect(
        address,
        namespace=namespace,
        data_converter=data_converter(codec),
        lazy=True,
        connect_timeout=timedelta(seconds=2),
        retry_config=RetryConfig(max_elapsed_time_millis=2000),
    )
