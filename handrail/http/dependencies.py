"""FastAPI dependencies: the services of the routes, and the short names of their parameters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Protocol, cast

from fastapi import Depends, Header, Query, Request

from handrail import bounds
from handrail.catalogue import Catalogue
from handrail.eventstore.subscriptions.lag import Lag
from handrail.http.access import confined_principal, principal_of
from handrail.http.actor_name import ActorName, named_by
from handrail.http.database import Database
from handrail.http.decision_waiter import DecisionWaiter
from handrail.http.event_streams import EventStreams
from handrail.http.lag_trend import LagTrend
from handrail.http.metrics import Metrics
from handrail.http.personal_texts import SagaTexts
from handrail.http.point_in_time import PointInTime
from handrail.http.problem_types import PROBLEM_TYPES
from handrail.http.problems import Problem, in_header
from handrail.http.saga_control import SagaClient
from handrail.http.schemas import Links, Moment, form
from handrail.http.shared_check import SharedCheck
from handrail.http.temporal_gateway import TemporalGateway
from handrail.http.tenant_limit import TenantLimit
from handrail.messaging.broker.operator_access import BrokerAccess
from handrail.privacy.texts import PersonalTexts
from handrail.webhook_endpoints.addresses import EndpointRules

ACTOR: Final = "Handrail-Actor"


class Figures(Protocol):
    """Brings the metrics up to date that are counted in the database."""

    async def refresh(self, services: Services) -> None: ...


@dataclass(frozen=True)
class WebhookTrust:
    """Whose webhooks are believed: the secrets of each source, newest first, and how many seconds a
    timestamp may be off.
    """

    secrets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tolerance_seconds: float = 300


@dataclass(frozen=True)
class Services:
    """Everything a route may reach; `stopping` is set when streams have to come to an end.

    What only the routes of a business need, they make from these by a dependency of their own.
    """

    app: Catalogue
    database: Database
    """It shows the rows that the caller of the route may see."""
    unconfined: Database
    """It shows all rows: for what is compared, and not answered."""
    history: PointInTime
    places: TenantLimit
    processes: TemporalGateway
    decisions: DecisionWaiter
    streams: EventStreams
    steering: SagaClient
    personal: PersonalTexts
    texts: SagaTexts
    metrics: Metrics
    figures: Figures
    readiness: SharedCheck[tuple[Mapping[str, str], Sequence[Lag]]]
    """What `/readyz` answers from."""
    temporal_ui: str | None = None
    webhooks: WebhookTrust = field(default_factory=WebhookTrust)
    webhook_sources: Sequence[str] = ()
    endpoint_rules: EndpointRules = field(default_factory=EndpointRules)
    """Which webhook endpoints tenants may register."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    four_eyes: bool = False
    """Whether a second person approves what moves money."""
    development: bool = False
    """Whether every caller is believed."""
    trend: LagTrend = field(default_factory=LagTrend)
    broker: BrokerAccess | None = None
    """The broker, where the API has a login there."""

    def links(self, saga: str) -> Links:
        """Of a saga; those of the App come first."""
        return {
            **self.app.saga_links(saga),
            "saga": f"/sagas/{saga}",
            "events": f"/sagas/{saga}/events",
            "stream": f"/streams/saga-{saga}",
            **self.in_temporal_ui(saga),
        }

    def in_temporal_ui(self, saga: str) -> Links:
        """The link to a saga's workflow, where there is a UI."""
        if self.temporal_ui is None:
            return {}
        namespace = self.processes.namespace
        address = f"{self.temporal_ui}/namespaces/{namespace}/workflows/{saga}"
        return {"temporal_ui": address}


async def services(request: Request) -> Services:
    """Those of the application; the rows of the database are what the caller may see."""
    everything = cast("Services", request.app.state.services)
    principal = confined_principal(request)
    if principal is None:
        return everything
    return replace(everything, database=everything.database.seen_by(principal.visibility))


async def json_body(request: Request) -> None:
    """Raises Problem before anybody wonders why the body has no fields."""
    essence = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if essence != "application/json":
        raise Problem("unsupported-media-type", PROBLEM_TYPES["unsupported-media-type"].meaning)


async def actor_of(
    request: Request,
    actor: Annotated[
        str,
        Header(
            alias=ACTOR,
            json_schema_extra=form(bounds.ACTOR),
            description="For whom the caller acts: stored beside the caller's own name with every"
            " event it causes. It needs the scope `act-as`.",
        ),
    ] = "api",
) -> ActorName:
    if bounds.ACTOR.wrong_with(actor):
        said = "1 to 64 letters, digits and . _ @ : + -"
        raise Problem("malformed-header", f"{ACTOR}: {said}", [in_header(ACTOR, said)])
    principal = principal_of(request)
    if principal.kind == "development" or ACTOR in request.headers:
        name = ActorName(named_by(principal, actor))
    else:
        name = ActorName(principal.actor)
    name.principal = principal
    return name


ServicesDep = Annotated[Services, Depends(services)]
"""What routes work with: the read side, and `processes`, which starts sagas and runs commands."""
ActorDep = Annotated[ActorName, Depends(actor_of)]
"""On whose authority the request is made: the caller, and for whom it acts."""
JSON_BODY: Final = [Depends(json_body)]
"""Dependencies of a route that takes JSON: another content type is refused."""
EffectiveAt = Annotated[
    Moment | None,
    Query(
        description="What was true at this moment, of all that is known, or with `as_of` of what "
        "was known then. Facts that reach us late say when they became true; others became true "
        "when they were recorded."
    ),
]
AsOf = Annotated[
    Moment | None,
    Query(
        description="What was known at this moment (RFC 3339, such as 2026-03-02T12:00:00Z), "
        "folded from the events that were recorded by then."
    ),
]
