"""All that the recordings need of the product, imported at one place, since modules move.

Where a module is renamed, its import here is mended, and nothing else of these tests. The names
that a recording holds are what is stored and on the wire: those do not follow a rename.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast
from unittest.mock import patch

from cyclopts import App as CliApp
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from temporalio.worker import Replayer

from activities.payments.gateway import HttpBank
from activities.settlement.gateway import HttpRegistry
from activities.shipping.gateway import HttpCarrier
from handrail.access.authentication import Development
from handrail.cli.app_commands import add_commands, name_tenant_options
from handrail.cli.main import app
from handrail.connections import store_engine
from handrail.dev.temporal import search_attributes
from handrail.eventstore.pool import open_pool
from handrail.http.metrics import Metrics
from handrail.messaging.broker.definitions import Access, objects_of
from handrail.messaging.broker.topology import topology
from handrail.processes import consumer, lake_exporter, notifier, projector, relay
from handrail.processes.api import lazy_client
from handrail.processes.http_application import create_app
from handrail.processes.worker import with_boards, with_saga_streams
from handrail.projections.projector import Runner
from handrail.projections.rebuild import rebuild
from handrail.refused_settings import variable
from runtime.activities import of_contexts
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings as Settings
from tests.temporal import DATA_CONVERTER, SANDBOX

__all__ = [
    "CODEC",
    "CONTEXTS",
    "KINDS",
    "PROJECTIONS",
    "ROLE",
    "SEARCH_ATTRIBUTES",
    "WORKFLOWS",
    "Runner",
    "Settings",
    "activities",
    "api",
    "app",
    "broker_objects",
    "open_pool",
    "process_metrics",
    "rebuild",
    "replayer",
    "variable",
]

CODEC: Final = HANDRAIL.codec
SEARCH_ATTRIBUTES: Final = search_attributes(HANDRAIL.tenant)
KINDS: Final = HANDRAIL.problem_types
CONSUMERS: Final = HANDRAIL.consumers
CONTEXTS: Final = HANDRAIL.context_names
PROJECTIONS: Final = HANDRAIL.read_models
WORKFLOWS: Final = HANDRAIL.all_workflows
OWN_COMMANDS: Final = CliApp(name="handrail")
add_commands(OWN_COMMANDS, HANDRAIL)
name_tenant_options(app, HANDRAIL.tenant)
ROLE: Final = "handrail_app"

Metric = tuple[str, str, tuple[str, ...]]
"""Its name, its kind, its labels."""


def replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, data_converter=DATA_CONVERTER, workflow_runner=SANDBOX)


def activities() -> Mapping[str, Sequence[Any]]:
    """By task queue. What they would work with is not there: only their names are asked for."""
    nothing = cast("Any", None)
    companies = HttpBank(nothing), HttpCarrier(nothing), HttpRegistry(nothing)
    steps = of_contexts(nothing, cast("Any", object()), *companies)
    return with_boards(with_saga_streams(steps, nothing, CODEC), nothing, nothing, nothing, nothing)


async def api(url: str) -> FastAPI:
    """The application over this database; nothing is asked of it but what it offers."""
    async with store_engine(Settings(database_url=url), size=1) as engine:
        client = await lazy_client("127.0.0.1:1", "default", CODEC)
        options = HANDRAIL.options_of(HANDRAIL.settings())
        return create_app(
            HANDRAIL, engine, client, options, authentication=Development(HANDRAIL.access)
        )


def broker_objects() -> Sequence[str]:
    """Virtual hosts, exchanges, queues, bindings with their keys, users, policies."""
    wanted = topology(HANDRAIL.routing, HANDRAIL.consumers)
    access = Access(dict.fromkeys(wanted.users, "p"), "amqp://broker:5672", ("admin", "p"))
    return [str(key) for key in objects_of(wanted, access)]


async def process_metrics(url: str, folder: Path) -> Sequence[Metric]:
    """Of every process that serves some: each starts with its stop event set, and is watched as it
    registers them.
    """
    settings = Settings(database_url=url, lake_dir=folder, provider_url="http://127.0.0.1:1")
    brokered = settings.model_copy(update={"broker_url": "amqp://user:p@127.0.0.1:1"})
    stop = asyncio.Event()
    stop.set()
    [some, *_] = CONSUMERS
    with _registered() as metrics:
        Metrics()
        await projector.run(settings, stop)
        await notifier.run(settings, stop)
        await relay.run(brokered, stop)
        await lake_exporter.export(settings, stop)
        await consumer.run(settings, some, stop)
        await consumer.run(brokered, some, stop)
    return metrics


@contextmanager
def _registered() -> Iterator[list[Metric]]:
    """The metrics that are registered meanwhile, in any registry."""
    found: list[Metric] = []
    register = CollectorRegistry.register

    def watched(registry: CollectorRegistry, collector: Any) -> None:
        register(registry, collector)
        if isinstance(collector, MetricWrapperBase):
            found.append((collector._name, str(collector._type), tuple(collector._labelnames)))
        else:
            found.extend(
                (one.name, one.type, tuple(getattr(one, "_labelnames", ())))
                for one in collector.collect()
            )

    with patch.object(CollectorRegistry, "register", watched):
        yield found
