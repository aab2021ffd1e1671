"""business_of: the Business of an App, for the failure harness."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from aiohttp import ClientSession, TCPConnector

from handrail.activities.resources import Resources
from handrail.app import App
from handrail.connections import store_engine
from handrail.eventstore.store import EventStore
from handrail.migrate import migrate
from handrail.processes.worker import with_saga_streams
from handrail.simulators.in_process import served
from handrail.temporal.client import Activities, data_converter, sandbox
from handrail.testing.environment import Business, Opened, Servers

_ROLE = "handrail_app"


def business_of(
    app: App,
    *,
    activities: Callable[[EventStore], Activities] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Business:
    """What the sagas of an App run on in tests.

    The simulators that its workers ask are served in this process, and the settings with their
    addresses set; `settings` are others, by name. `activities` make the activities of its contexts
    on a store, in place of those of the App, for a business that needs nothing else.
    """

    @asynccontextmanager
    async def open_(servers: Servers) -> AsyncIterator[Opened]:
        async with AsyncExitStack() as stack:
            addresses = {
                one.address: await stack.enter_async_context(served(one.create(None, None)))
                for one in app.simulators
                if one.asked_by == "worker"
            }
            given = {"database_url": servers.database, **addresses, **(settings or {})}
            chosen = app.settings_type(**given)
            outside = await stack.enter_async_context(_one_request_each())
            engine = await stack.enter_async_context(
                store_engine(chosen, size=2, name="handrail tests")
            )

            def serve(store: EventStore) -> Activities:
                if activities is not None:
                    return with_saga_streams(activities(store), store, app.codec)
                resources = Resources(
                    store=store,
                    outside=outside,
                    engine=engine,
                    client=servers.client,
                    settings=chosen,
                )
                return with_saga_streams(app.activities(resources), store, app.codec)

            yield Opened(serve=serve, options=app.options_of(chosen), settings=chosen)

    return Business(
        codec=app.codec,
        data_converter=data_converter(app.codec),
        workflows=app.all_workflows,
        runner=sandbox(app.packages),
        open=open_,
        migrate=partial(migrate, role=_ROLE, app=app),
    )


def _one_request_each() -> ClientSession:
    """Between two tests no connection is watched, so that a closed one would be found too late."""
    return ClientSession(connector=TCPConnector(force_close=True))
