"""What routes depend on runs on the event loop: threads are few, and shared by all requests."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from handrail.access.authentication import Development
from handrail.processes.http_application import create_app
from handrail.sagas.options import RunOptions
from runtime.app import HANDRAIL
from tests.api.conftest import House


def called(one: Dependant) -> Iterator[object]:
    """What a request calls, and all that this depends on."""
    if one.call is not None:
        yield one.call
    for below in one.dependencies:
        yield from called(below)


def is_async(call: object) -> bool:
    found = (call, getattr(call, "__call__", None))  # noqa: B004  # an object may be what is called
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in found)


async def test_no_route_and_nothing_that_it_depends_on_takes_a_thread(house: House) -> None:
    """FastAPI calls functions that are not async, and classes, in one of forty threads: a flood of
    one route would make all others wait for them.
    """
    app = create_app(
        HANDRAIL,
        house.engine,
        house.temporal,
        RunOptions(),
        authentication=Development(HANDRAIL.access),
    )
    routes = [one.original_route for one in iter_route_contexts(app.routes)]
    dependants = [one.dependant for one in routes if isinstance(one, APIRoute)]
    assert len(dependants) > 100
    in_threads = {
        getattr(call, "__qualname__", repr(call))
        for one in dependants
        for call in called(one)
        if not is_async(call)
    }
    assert in_threads == set()
