"""The figures of a process without an HTTP API, as Prometheus reads them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.registry import Collector

from handrail.metrics_server import served
from handrail.settings import Settings

Gauges = Mapping[str, tuple[str, Callable[[], float]]]
"""By their names: what they mean, and what reads them."""


@contextlib.contextmanager
def process_metrics(
    process: str, settings: Settings, gauges: Gauges, *collectors: Collector
) -> Iterator[CollectorRegistry]:
    """Serves the gauges of this process, as `handrail_{process}_{name}`, and what the collectors
    have, as long as the block lasts. How far behind the process is, and what waits, the API says.
    """
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    for name, (meaning, value) in gauges.items():
        Gauge(f"handrail_{process}_{name}", meaning, registry=registry).set_function(value)
    with served(registry, settings.metrics_port, settings.metrics_host):
        yield registry
