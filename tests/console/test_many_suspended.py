"""An intervention in many is suspended and resumed at its page, which says what became of all."""

from __future__ import annotations

import httpx
import pytest

from tests.api.shop import Shop, a_key, place, problem, settled
from tests.console.parked import eventually_shows, form, shown, submit, text_of

SAGAS = 5


@pytest.mark.thorough
async def test_it_is_suspended_and_resumed_by_buttons_and_then_counts_how_all_ended(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    """One saga a second, so that most are left when it is suspended."""
    for _ in range(SAGAS):
        saga = (await place(api, shop, wait=None, ship_to="addr_undeliverable")).json()["saga"]
        await settled(api, saga, "parked")
    key = a_key()
    wish = {
        "kind": "skip",
        "filter": {"merchant": shop.merchant},
        "reason": "sent by hand",
        "evidence": "ticket 8",
        "per_second": 1,
        "dry_run": False,
    }
    begun = await api.post("/interventions", json=wish, headers={"Idempotency-Key": key})
    assert begun.status_code == 202, begun.text
    path = f"/console/interventions/{key}"
    answer = await api.post(f"{path}/suspend", data={"reason": "to look first"})
    assert answer.headers["location"] == path, answer.text
    said = await eventually_shows(api, path, "State suspended")
    assert "Suspended by console: to look first" in said
    html = await shown(api, path)
    assert form(html, "Suspend").disabled
    assert not form(html, "Stop").disabled

    assert (await submit(api, form(html, "Resume"), reason="it looks well")).status_code == 303
    await eventually_shows(api, path, "State finished")
    await eventually_shows(api, path, f"completed {SAGAS}")
    counts = (await api.get(f"/interventions/{key}/outcomes")).json()["counts"]
    assert counts == {"completed": SAGAS}
    items = (await api.get(f"/interventions/{key}/items")).json()["items"]
    assert {one["became"] for one in items} == {"completed"}
    html = await shown(api, path)
    assert all(form(html, button).disabled for button in ("Suspend", "Resume", "Stop"))
    late = await api.post(f"/interventions/{key}/suspend", json={"reason": "late"})
    problem(late, 409, "intervention-ended")
    assert "it is finished" in text_of(html)


async def test_what_is_parked_once_more_counts_as_that(api: httpx.AsyncClient, shop: Shop) -> None:
    """The address is as bad as before: a retry is accepted, and in vain."""
    saga = (await place(api, shop, wait=None, ship_to="addr_undeliverable")).json()["saga"]
    await settled(api, saga, "parked")
    key = a_key()
    wish = {
        "kind": "retry",
        "filter": {"merchant": shop.merchant},
        "reason": "once more",
        "dry_run": False,
    }
    begun = await api.post("/interventions", json=wish, headers={"Idempotency-Key": key})
    assert begun.status_code == 202, begun.text
    await eventually_shows(api, f"/console/interventions/{key}", "parked again 1")


async def test_an_intervention_that_is_not_there_is_not_found(api: httpx.AsyncClient) -> None:
    for what in ("suspend", "resume"):
        answer = await api.post(f"/interventions/none/{what}", json={"reason": "x"})
        problem(answer, 404, "not-found")
    problem(await api.get("/interventions/none/outcomes"), 404, "not-found")
