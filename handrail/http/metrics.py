"""What Prometheus is told. Each application has a registry of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from starlette.types import Scope

from handrail.eventstore.subscriptions.lag import Lag
from handrail.http.saga_metrics import SagaMetrics

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class LagMetrics:
    """How far those are behind who follow the feed: read models, or others."""

    def __init__(self, gauge: Callable[..., Gauge], who: str) -> None:
        self._events = gauge(f"handrail_{who}_lag_events", f"Events a {who} has not seen.", who)
        self._seconds = gauge(
            f"handrail_{who}_lag_seconds", f"Age of the oldest event a {who} has not seen.", who
        )
        self._parked = gauge(
            f"handrail_{who}_parked_events",
            "Events that could not be handled, or wait behind one.",
            who,
        )
        self._waiting = gauge(
            f"handrail_{who}_waiting_shards",
            "Shards that wait for a process whose code reads their next event.",
            who,
        )

    def show(self, one: Lag) -> None:
        self._events.labels(one.follower).set(one.events)
        self._seconds.labels(one.follower).set(one.seconds)
        self._parked.labels(one.follower).set(one.parked)
        self._waiting.labels(one.follower).set(one.waiting)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "handrail_http_request_seconds",
            "Time until an answer began.",
            ["method", "route", "status"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.sagas = SagaMetrics()
        self.registry.register(self.sagas)
        self.projections = LagMetrics(self._gauge, "projection")
        self.followers = LagMetrics(self._gauge, "follower")
        self.webhooks = self._gauge(
            "handrail_webhooks",
            "Webhooks that had no effect yet, or that nobody understood.",
            "source",
            "status",
        )
        self.messages_waiting = self._gauge(
            "handrail_notifications_waiting", "Messages that are not sent yet.", "lane"
        )
        self.messages_overdue = self._gauge(
            "handrail_notifications_overdue_seconds",
            "Since when the oldest message could have been sent.",
            "lane",
        )
        self.messages_stuck = self._gauge(
            "handrail_notifications_stuck",
            "Messages that could not be sent: parked for a person, or refused.",
            "lane",
            "state",
        )
        self.consumer_messages = self._gauge(
            "handrail_consumer_parked_messages",
            "Messages that a consumer could not handle, or that wait behind one.",
            "consumer",
        )
        self.consumer_streams = self._gauge(
            "handrail_consumer_parked_streams", "Streams that wait at a consumer.", "consumer"
        )
        self.consumer_waiting = self._gauge(
            "handrail_consumer_waiting_streams",
            "Streams that wait at a consumer for newer code.",
            "consumer",
        )
        self.endpoints = self._gauge(
            "handrail_webhook_endpoints",
            "Webhook endpoints of tenants; those that fail are active, too.",
            "state",
        )
        self.deliveries = self._gauge(
            "handrail_webhook_deliveries",
            "Deliveries to webhook endpoints that wait, or were parked; 10,000 at most.",
            "state",
        )
        self.deliveries_overdue = self._gauge(
            "handrail_webhook_deliveries_overdue_seconds",
            "Since when an endpoint that may be sent to has something due.",
        )
        self.database_up = self._gauge(
            "handrail_database_up", "1 where the figures above are of now; 0 where they are old."
        )

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Labels come from our routes only, so that nobody can make them grow."""
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.requests.labels(method, route, str(status)).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, labels, registry=self.registry)
