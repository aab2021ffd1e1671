"""The metrics of Temporal's SDK, as Prometheus reads them: polls, tasks, slots, latencies.

The core of the SDK serves them itself, on the port of the process's metrics. Their labels are
bounded: namespace, task queue, type of workflow or activity, operation.
"""

from __future__ import annotations

import socket

from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from handrail.refused_settings import refuse, variable
from handrail.settings import Settings


def runtime_of(settings: Settings) -> Runtime | None:
    """A runtime that serves them, for the one client of a process; None where no port is set.

    Ends the process where it cannot have the port.
    """
    if settings.metrics_port is None:
        return None
    try:
        served = PrometheusConfig(
            bind_address=_address(settings.metrics_host, settings.metrics_port),
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
        )
        return Runtime(telemetry=TelemetryConfig(metrics=served))
    except (OSError, RuntimeError, ValueError) as error:
        refuse(f"{variable('metrics_host')}, {variable('metrics_port')}: {error}")


def _address(host: str, port: int) -> str:
    """The core takes numbers alone. Raises OSError for a name that stands for none."""
    found = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    return f"[{found}]:{port}" if ":" in found else f"{found}:{port}"
