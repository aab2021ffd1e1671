"""What an App may declare of its console, and what it is told where that cannot work."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from api.console import CONSOLE
from handrail.access.authentication import Development
from handrail.console.declared import Console, EntityPage
from handrail.processes import http_application as application
from handrail.sagas.options import RunOptions
from handrail.wrongly_declared import WronglyDeclared
from projections import order_status
from runtime.app import HANDRAIL
from tests.api.conftest import House

ORDERS = EntityPage(name="orders", projection=order_status.PROJECTION)


def test_a_page_is_called_and_guarded_by_its_name_where_nothing_else_is_said() -> None:
    assert (ORDERS.title, ORDERS.scope) == ("Order", "orders:read")
    assert ORDERS.shown == order_status.PROJECTION.columns


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([replace(ORDERS, name="sagas")], "the console's page sagas has a name that it cannot"),
        ([replace(ORDERS, name="Orders")], "has a name that it cannot have"),
        ([ORDERS, ORDERS], "the console's page orders is there twice: rename one"),
        ([replace(ORDERS, scope="no:such")], "needs the scope no:such, which does not exist"),
        ([replace(ORDERS, fields=("nope",))], "names nope, which its row does not have"),
        ([replace(ORDERS, links=(("customer", "people"),))], "links to people, which has no page"),
        (
            [replace(ORDERS, projection=replace(order_status.PROJECTION, name="other"))],
            "shows other, which is none of the projections",
        ),
    ],
)
def test_a_page_that_cannot_work_is_refused_with_a_sentence(pages: Any, said: str) -> None:
    with pytest.raises(WronglyDeclared, match=said):
        replace(HANDRAIL, console=Console(entities=pages))


def test_the_shop_has_a_page_for_each_of_its_entities() -> None:
    assert [one.name for one in CONSOLE.entities] == ["orders", "customers", "merchants"]


async def test_without_its_extra_an_api_has_no_console(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        application, "find_spec", lambda name: None if name == "jinja2" else find_spec(name)
    )
    app = application.create_app(
        HANDRAIL,
        house.engine,
        house.temporal,
        RunOptions(),
        authentication=Development(HANDRAIL.access),
    )
    paths = {one.path or "" for one in iter_route_contexts(app.routes)}
    assert not any(path.startswith("/console") for path in paths)
    assert "/sagas" in paths
