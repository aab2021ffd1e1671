"""Telemetry that frameworks bring: it is off, for its spans hold paths and queries as they came."""

from __future__ import annotations

from typing import Final

from fastapi.telemetry import TelemetryConfig

NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}
"""For an application of FastAPI: `handrail.http.request_span` makes the spans of the API."""
