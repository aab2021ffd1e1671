"""The dispatcher process: sends events to the webhook endpoints of tenants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from datetime import timedelta
from typing import Final
from uuid import uuid4

import psycopg
import structlog
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from handrail.audit.acts import OperatorActAnswered, OperatorActRequested
from handrail.audit.append_audit import parameters
from handrail.background import background_tasks
from handrail.connections import store_pool
from handrail.eventstore.codec import Codec
from handrail.eventstore.periodic_task import run_periodically
from handrail.eventstore.pool import Pool
from handrail.eventstore.subscriptions.subscriber import Subscriber
from handrail.load_app import the_app
from handrail.processes.announced import announced, of_pool
from handrail.processes.enrollment import enrolled
from handrail.processes.personal_texts import personal_texts
from handrail.processes.process_metrics import Gauges, process_metrics
from handrail.readiness import ready_after
from handrail.refused_settings import require
from handrail.settings import Settings
from handrail.webhook_endpoints.addresses import AddressPolicy
from handrail.webhook_endpoints.dispatcher import Dispatcher
from handrail.webhook_endpoints.endpoint_run import Disabled
from handrail.webhook_endpoints.fan_out import FOLLOWER, FanOut
from handrail.webhook_endpoints.pruning import prune
from handrail.webhook_endpoints.retry_policy import RetryPolicy
from handrail.webhook_endpoints.sender import Sender

_MAINTENANCE_SECONDS: Final = 60.0
_POOL: Final = 8
_ACT: Final = "webhook endpoint disabled"
_AUDIT: Final = "SELECT append_audit(%(stream)s::jsonb, %(events)s::jsonb, %(metadata)s::jsonb)"
_OUTCOMES: Final = ("delivered", "failed", "parked", "disabled")
_log = structlog.get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set, beside any number of others."""
    require(settings, "subject_keys_file")
    app = the_app()
    tls = ssl.create_default_context(cafile=settings.webhook_endpoint_ca_file)
    policy = AddressPolicy(
        frozenset(settings.webhook_endpoint_ports), development=settings.auth == "development"
    )
    async with (
        store_pool(settings, size=_POOL, name="handrail-dispatcher") as pool,
        announced(of_pool(pool), app.codec, settings, "dispatcher", stop),
        personal_texts(settings, declared=True, name="handrail dispatcher keys") as personal,
        Sender(
            policy,
            connect_seconds=settings.dispatcher_connect_seconds,
            total_seconds=settings.dispatcher_timeout_seconds,
            slots=settings.dispatcher_slots,
            tls=tls,
        ) as sender,
    ):
        await enrolled(pool, FOLLOWER, "dispatcher", stop)
        fan_out = FanOut(app.offered_events)
        follower = Subscriber(pool, fan_out, poll=settings.projector_poll_ms / 1000)
        dispatcher = Dispatcher(
            pool,
            sender,
            app.offered_events,
            personal,
            audited(pool, app.codec),
            policy=policy_of(settings),
            slots=settings.dispatcher_slots,
            per_endpoint=settings.dispatcher_slots_per_endpoint,
            lease=timedelta(seconds=3 * settings.dispatcher_timeout_seconds),
        )
        gauges: Gauges = {
            "endpoints": ("Endpoints that it sends to now", lambda: dispatcher.endpoints),
            "events_read": ("Events read since it began", lambda: follower.events_read),
            "checkpoints_held": ("Shards that are its share", lambda: follower.checkpoints_held),
        }
        async with background_tasks(
            ready_after(settings, follower.reading, dispatcher.working), _prune(pool)
        ):
            with process_metrics("dispatcher", settings, gauges, _Tries(dispatcher)):
                await asyncio.gather(
                    follower.run(stop), dispatcher.run(stop, finish=settings.shutdown_seconds / 2)
                )


def policy_of(settings: Settings) -> RetryPolicy:
    return RetryPolicy(
        first=settings.dispatcher_retry_seconds,
        longest=settings.dispatcher_longest_retry_seconds,
        parks_after=settings.dispatcher_park_hours * 3600,
        disables_after=settings.dispatcher_disable_hours * 3600,
    )


def audited(pool: Pool, codec: Codec) -> Disabled:
    """Stores in the audit that an endpoint was disabled by the dispatcher itself."""

    async def stored(endpoint: str, because: str) -> None:
        request, principal = uuid4().hex, "service:dispatcher"
        events = (
            OperatorActRequested(
                request=request,
                act=_ACT,
                target=f"{endpoint}: {because}",
                principal=principal,
                origin="dispatcher",
            ),
            OperatorActAnswered(request=request, act=_ACT, principal=principal, status=200),
        )
        try:
            async with pool.connection() as connection:
                for one in events:
                    await connection.execute(_AUDIT, parameters(codec, one))
        except psycopg.Error as error:
            _log.error("audit event not stored", act=_ACT, target=endpoint, error=str(error))

    return stored


async def _prune(pool: Pool) -> None:
    async def pruned() -> None:
        async with pool.connection() as connection:
            await prune(connection)

    await run_periodically(pruned, _MAINTENANCE_SECONDS, _log, "old deliveries not deleted")


class _Tries(Collector):
    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def collect(self) -> Iterator[Metric]:
        tries = CounterMetricFamily(
            "handrail_dispatcher_webhooks",
            "Webhooks by what became of each try; disabled counts endpoints.",
            labels=["outcome"],
        )
        for outcome in _OUTCOMES:
            tries.add_metric([outcome], self._dispatcher.counts[outcome])
        yield tries
