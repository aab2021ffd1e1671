"""Endpoints of other tenants: the query leaves them out where row-level security does not."""

from __future__ import annotations

import pytest

from handrail.access.principal import EVERYTHING, Visibility
from handrail.database_engine import open_engine
from handrail.kernel import Event
from handrail.webhook_endpoints import endpoints
from handrail.wrongly_declared import WronglyDeclared
from runtime.app import HANDRAIL
from tests.webhook_endpoints.conftest import World


@pytest.mark.parametrize(
    ("visible", "seen"),
    [
        (EVERYTHING, True),
        (Visibility(tenant="m-1"), True),
        (Visibility(tenant="m-2"), False),
        (Visibility(), False),
        (Visibility(party="m-1"), False),
        (Visibility(tenant="m-1", party="c-1"), False),
    ],
)
async def test_the_query_alone_shows_a_principal_its_own(
    world: World, visible: Visibility, *, seen: bool
) -> None:
    made = await world.register("m-1", "http://127.0.0.1:1/x")
    # The owner of the database is held back by no policy.
    async with open_engine(world.url, role="", size=1) as engine, engine.connect() as connection:
        found = await endpoints.find(connection, made.endpoint.id, visible)
        listed = await endpoints.listed(
            connection, visible, tenant=None, state=None, after=None, limit=10
        )
    assert (found is not None) is seen
    assert len(listed.rows) == seen


def test_an_event_that_no_context_has_cannot_be_offered() -> None:
    from dataclasses import replace  # noqa: PLC0415  # beside its only use

    class Unheard(Event, context="ordering"):
        pass

    with pytest.raises(WronglyDeclared, match="tenant_events has Unheard"):
        replace(HANDRAIL, tenant_events=(Unheard,))
