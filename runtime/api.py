"""The API process."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import cast

from temporalio.client import Client
from temporalio.service import RetryConfig

from api.app import create_app
from handrail.connections import store_engine
from handrail.http.dependencies import WebhookTrust
from handrail.processes.asgi_server import serve
from handrail.settings import Settings, require
from handrail.temporal.client import data_converter
from runtime.app import HANDRAIL
from runtime.options import options_of
from runtime.settings import ShopSettings


async def run(loaded: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Without PostgreSQL or Temporal it starts all the same, and answers
    503 until they are there.
    """
    settings = cast("ShopSettings", loaded)
    require(settings, "database_url", "temporal_address")
    async with store_engine(settings) as engine:
        client = await lazy_client(
            cast("str", settings.temporal_address), settings.temporal_namespace
        )
        app = create_app(
            engine,
            client,
            options_of(settings),
            temporal_ui=settings.temporal_ui_url,
            webhooks_from=trust_of(settings),
            sagas_per_merchant=settings.sagas_per_merchant,
            stopping=stop,
            as_of_events=settings.as_of_events,
            event_streams=settings.event_streams,
            event_streams_per_client=settings.event_streams_per_client,
        )
        await serve(app, settings, settings.api_host, settings.api_port, stop)


def trust_of(settings: ShopSettings) -> WebhookTrust:
    return WebhookTrust(
        {"bank": settings.bank_webhook_secrets, "carrier": settings.carrier_webhook_secrets},
        settings.webhook_tolerance_seconds,
    )


async def lazy_client(address: str, namespace: str) -> Client:
    """Connects when it is first needed, and gives up soon: whoever waits is told to come back."""
    return await Client.connect(
        address,
        namespace=namespace,
        data_converter=data_converter(HANDRAIL.codec),
        lazy=True,
        connect_timeout=timedelta(seconds=2),
        retry_config=RetryConfig(max_elapsed_time_millis=2000),
    )
