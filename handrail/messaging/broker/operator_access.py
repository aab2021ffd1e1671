"""The broker as a process for operators reaches it; what that needs is loaded when it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from handrail.messaging.broker.settings import BrokerSettings
from handrail.optional_deps import require_extra
from handrail.refused_settings import require

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from handrail.messaging.broker.dead_messages import DeadMessages
    from handrail.messaging.consumers.consumer import Consumer
    from handrail.messaging.relay.routing import Routing


@dataclass(frozen=True, kw_only=True)
class BrokerAccess:
    """`url` and `management_url` answer addresses with a login, as of now."""

    url: Callable[[], str]
    management_url: Callable[[], str]
    settings: BrokerSettings

    def dead_messages(
        self,
        routing: Routing,
        consumers: Sequence[Consumer],
        connected: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
    ) -> DeadMessages:
        """Needs the extra `broker`. Raises NoBroker where the App declares none."""
        from handrail.messaging.broker.address import (  # noqa: PLC0415  # see the module
            certificates,
            tls_of_management,
        )
        from handrail.messaging.broker.dead_messages import DeadMessages  # noqa: PLC0415
        from handrail.messaging.broker.management_api import Management  # noqa: PLC0415
        from handrail.messaging.broker.topology import topology  # noqa: PLC0415

        verify = tls_of_management(self.settings)
        return DeadMessages(
            url=self.url,
            management=lambda: Management(self.management_url(), verify=verify),
            topology=topology(routing, consumers),
            connected=connected,
            query=certificates(self.settings),
        )


def of_api(settings: BrokerSettings) -> BrokerAccess | None:
    """As the user of the API; None where the settings have no address for that. Ends the process
    where one of the two is missing, or the extra `broker`.
    """
    if settings.broker_operator_url is None and settings.broker_operator_management_url is None:
        return None
    require(settings, "broker_operator_url", "broker_operator_management_url")
    require_extra("broker", "aio_pika")
    return BrokerAccess(
        url=lambda: cast("str", settings.current("broker_operator_url")).rstrip("/"),
        management_url=lambda: cast("str", settings.current("broker_operator_management_url")),
        settings=settings,
    )


def of_administrator(settings: BrokerSettings) -> BrokerAccess:
    """As the one of `handrail topology`, whose settings are there."""

    def url() -> str:
        scheme, _, address = cast("str", settings.current("broker_url")).partition("://")
        management = cast("str", settings.current("broker_management_url"))
        login = management.partition("://")[2].rpartition("@")[0]
        return f"{scheme}://{login}@{address.rpartition('@')[2]}".rstrip("/")

    return BrokerAccess(
        url=url,
        management_url=lambda: cast("str", settings.current("broker_management_url")),
        settings=settings,
    )
