"""The notifier process: sends the messages that are due, beside any number of others."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import Final, cast

import httpx
import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from handrail.activities.company_access import company_access
from handrail.background import background_tasks
from handrail.connections import store_pool
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Pool
from handrail.load_app import the_app
from handrail.notifications.notifier import Notifier
from handrail.notifications.provider import HttpProvider
from handrail.notifications.pruning import prune
from handrail.processes.announced import announced, of_pool
from handrail.processes.personal_texts import personal_texts
from handrail.processes.process_metrics import process_metrics
from handrail.readiness import ready_after
from handrail.refused_settings import BAD_SETTINGS, variable
from handrail.settings import Settings

_MAINTENANCE_SECONDS: Final = 60.0
_log = structlog.get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set. Whatever is not sent by then, others send, or it does later."""
    _check(settings)
    app = the_app()
    kinds, declared = app.messages, app.has_personal_fields
    access = company_access(settings, "provider")
    async with (
        store_pool(settings, size=3, name="handrail-notifier") as pool,
        announced(of_pool(pool), app.codec, settings, "notifier", stop),
        personal_texts(settings, declared=declared, name="handrail notifier keys") as personal,
        httpx.AsyncClient(
            base_url=cast("str", settings.provider_url),
            limits=httpx.Limits(max_connections=settings.notifier_slots),
            verify=access.tls or True,
        ) as client,
    ):
        notifier = Notifier(
            pool,
            HttpProvider(client, seconds=settings.provider_timeout_seconds, headers=access.headers),
            kinds,
            slots=settings.notifier_slots,
            reserved=max(1, settings.notifier_slots // 4),
            attempts=settings.notifier_attempts,
            lease=timedelta(seconds=settings.notifier_lease_seconds),
            personal=personal,
        )
        async with background_tasks(ready_after(settings, notifier.working), _prune(pool)):
            with process_metrics("notifier", settings, {}, _Figures(notifier)):
                await notifier.run(stop)


def _check(settings: Settings) -> None:
    if settings.notifier_lease_seconds <= settings.provider_timeout_seconds:
        longer, than = variable("notifier_lease_seconds"), variable("provider_timeout_seconds")
        print(f"{longer}: must be longer than {than}", file=sys.stderr)
        raise SystemExit(BAD_SETTINGS)


async def _prune(pool: Pool) -> None:
    async def pruned() -> None:
        async with pool.connection() as connection:
            await prune(connection)

    await run_periodically(pruned, _MAINTENANCE_SECONDS, _log, "old messages not deleted")


class _Figures(Collector):
    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def collect(self) -> Iterable[Metric]:
        messages = CounterMetricFamily(
            "handrail_notifier_messages",
            "Messages by what became of them; throttled and again are tried later.",
            labels=["lane", "outcome"],
        )
        for (lane, outcome), count in list(self._notifier.counts.items()):
            messages.add_metric([lane, outcome], count)
        yield messages
        yield GaugeMetricFamily(
            "handrail_notifier_sending", "Messages being sent.", self._notifier.sending
        )
