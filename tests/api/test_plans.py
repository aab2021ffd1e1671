"""Plans over HTTP: what is left to pay, paid at once, or due on another day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.service import RPCError, RPCStatusCode

from tests.api.conftest import House
from tests.api.shop import Shop, eventually, place, refused_as

LATER = datetime.now(UTC).date() + timedelta(days=700)
SOONER = LATER - timedelta(days=10)


@pytest.fixture
async def order(api: httpx.AsyncClient, shop: Shop) -> str:
    """One that stands, and whose plan is known."""
    placed = (await place(api, shop)).json()
    await shown(api, placed["order"])
    return str(placed["order"])


async def shown(api: httpx.AsyncClient, order: str, **wanted: Any) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found = await api.get(f"/orders/{order}/plan")
        if found.status_code != 200:
            return None
        plan: dict[str, Any] = found.json()
        return plan if wanted.items() <= plan.items() else None

    return await eventually(look, f"the plan of {order} is {wanted or 'there'}")


async def asked(api: httpx.AsyncClient, path: str, **body: Any) -> httpx.Response:
    """As soon as the process knows its plan."""

    async def ask() -> httpx.Response | None:
        answer = await api.post(path, json=body)
        is_early = "is about to be read" in answer.text or answer.status_code in {404, 503}
        return None if is_early else answer

    return await eventually(ask, path)


async def test_a_plan_shows_what_is_due_and_when(api: httpx.AsyncClient, order: str) -> None:
    plan = await shown(api, order)
    assert plan["status"] == "open"
    assert plan["outstanding"] == plan["financed"] == {"amount": 75_00, "currency": "EUR"}
    assert [one["number"] for one in plan["instalments"]] == [1, 2, 3]
    assert plan["next_due"] == plan["instalments"][0]["due"]


async def test_all_that_is_left_is_paid_at_once(api: httpx.AsyncClient, order: str) -> None:
    answer = await asked(api, f"/orders/{order}/plan/settlement")
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/sagas/settle-{order}"
    plan = await shown(api, order, status="settled")
    assert plan["paid"] == plan["financed"]


async def test_an_instalment_is_moved_to_another_day(api: httpx.AsyncClient, order: str) -> None:
    due = date.fromisoformat((await shown(api, order))["instalments"][2]["due"])
    later, path = str(due + timedelta(days=5)), f"/orders/{order}/plan/reschedule"
    for day in (later, str(due), later):
        answer = await asked(api, path, number=3, due=day)
        assert answer.status_code == 200, answer.text

    async def moved() -> bool | None:
        plan = await shown(api, order)
        return True if plan["instalments"][2]["due"] == later else None

    assert await eventually(moved, "the plan shows the new day")


async def test_an_open_plan_whose_process_has_ended_is_collected_again_once_somebody_asks(
    api: httpx.AsyncClient, house: House, order: str
) -> None:
    path = f"/orders/{order}/plan"
    due = (await shown(api, order))["instalments"][2]["due"]
    process = house.temporal.get_workflow_handle(f"plan-{order}")

    async def is_begun() -> bool:
        try:
            await process.describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    await eventually(is_begun, "the plan is collected")
    for wish in ("reschedule", "settlement"):
        await process.terminate("a test")
        answer = await asked(
            api, f"{path}/{wish}", **({"number": 3, "due": due} if wish == "reschedule" else {})
        )
        assert answer.status_code in {200, 202}, answer.text
    await shown(api, order, status="settled")


async def test_a_settled_plan_is_not_collected_again(api: httpx.AsyncClient, order: str) -> None:
    path = f"/orders/{order}/plan/settlement"
    assert (await asked(api, path)).status_code == 202
    await shown(api, order, status="settled")
    await refused_as(lambda: api.post(path, json={}), "saga-ended")


async def test_a_day_that_breaks_a_rule_is_a_conflict_with_the_reason(
    api: httpx.AsyncClient, order: str
) -> None:
    path = f"/orders/{order}/plan/reschedule"
    moved = await asked(api, path, number=1, due=str(LATER))
    assert moved.status_code == 200, moved.text
    answer = await asked(api, path, number=2, due=str(SOONER))
    assert answer.status_code == 409, answer.text
    assert answer.json()["type"].endswith("out-of-order")
    assert "instalment 1 is due" in answer.json()["detail"]


async def test_without_an_order_there_is_no_plan(api: httpx.AsyncClient) -> None:
    assert (await api.get("/orders/nobody/plan")).status_code == 404
    answer = await api.post("/orders/nobody/plan/settlement", json={})
    assert answer.status_code == 404
    assert "plan of nobody" in answer.json()["detail"]


async def test_plans_are_listed_by_how_they_stand(api: httpx.AsyncClient, order: str) -> None:
    of_all = (await api.get("/plans", params={"status": "open"})).json()["items"]
    assert order in [one["order"] for one in of_all]
    settled = (await api.get("/plans", params={"status": "written_off"})).json()["items"]
    assert order not in [one["order"] for one in settled]
