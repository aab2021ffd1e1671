"""The API process: serves the HTTP application of the App."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from temporalio.client import Client
from temporalio.service import RetryConfig

from handrail.access.configured import authentication_of
from handrail.app import App, WronglyDeclared
from handrail.connections import store_engine
from handrail.eventstore.codec import Codec
from handrail.http.application import create_app
from handrail.http.dependencies import WebhookTrust
from handrail.http.personal_texts import AnsweringKeys
from handrail.http.rate_limit import RateLimits, RatePolicy
from handrail.http.request_origin import LOOPBACK, RequestOrigin
from handrail.privacy.process import personal_texts
from handrail.processes.asgi_server import serve
from handrail.settings import Settings, require
from handrail.temporal.client import data_converter


async def run(app: App, settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Without PostgreSQL or Temporal it starts all the same, and answers
    503 until they are there.
    """
    require(settings, "database_url", "temporal_address")
    authentication = authentication_of(app.access, settings)
    async with (
        store_engine(settings) as engine,
        personal_texts(
            settings, declared=app.has_personal_fields, name="handrail api keys", keys=AnsweringKeys
        ) as personal,
    ):
        client = await lazy_client(
            cast("str", settings.temporal_address), settings.temporal_namespace, app.codec
        )
        application = create_app(
            app,
            engine,
            client,
            app.options(settings),
            authentication=authentication,
            temporal_ui=settings.temporal_ui_url,
            webhooks_from=trust_of(app, settings),
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
        )
        await serve(application, settings, settings.api_host, settings.api_port, stop)


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
    secrets: dict[str, Sequence[str]] = {}
    for one in sources:
        if one.secrets not in type(settings).model_fields:
            raise WronglyDeclared(
                f"the webhook source {one.name} names the setting {one.secrets} for its secrets,"
                f" which {type(settings).__name__} does not have: add the field, or name another"
            )
        secrets[one.name] = getattr(settings, one.secrets)
    return WebhookTrust(secrets, settings.webhook_tolerance_seconds)


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
