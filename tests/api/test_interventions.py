"""People stepping in: one parked saga, many of them, and the next attempt after one that failed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from domain.settlement.commands import Document
from handrail.sagas.options import RunOptions
from tests.api.conftest import House
from tests.api.parking import ParksBehindTheLook
from tests.api.shop import (
    Shop,
    a_key,
    open_shop,
    place,
    problem,
    read,
    refused_as,
    settled,
)
from tests.controls import NOON, a_merchant
from tests.temporal import DATA_CONVERTER
from workflows.onboard_merchant import OnboardMerchant

UNDELIVERABLE = "addr_undeliverable"


async def parked(api: httpx.AsyncClient, shop: Shop, **means: str) -> str:
    saga: str = (await place(api, shop, wait=None, **means)).json()["saga"]
    await settled(api, saga, "parked")
    return saga


async def test_a_parked_saga_goes_on_when_it_is_told_to(
    impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to="addr_error_3")
    board = await impatient.get("/sagas", params={"merchant": shop.merchant, "status": "parked"})
    [found] = board.json()["items"]
    [waiting] = found["waiting"]
    assert (waiting["step"], found["step"]) == ("BookShipment", "BookShipment")
    assert found["parked_since"]
    wish = {"kind": "retry", "reason": "the carrier is back", "actor": "ops"}
    path, key = f"/sagas/{saga}/interventions", {"Idempotency-Key": a_key()}
    answer = await impatient.post(path, json=wish, headers=key)
    assert answer.status_code == 202, answer.text
    assert answer.json()["intervention"] == key["Idempotency-Key"]
    again = await impatient.post(path, json=wish, headers=key)
    assert again.status_code in {202, 409}  # 409 once the saga has ended
    done = await settled(impatient, saga)
    assert done["status"] == "completed"
    resumed = [one for one in done["timeline"] if one["what"] == "SagaResumed"]
    assert [(one["actor"], one["outcome"], one["reason"]) for one in resumed] == [
        ("ops", "retry", "the carrier is back")
    ]


async def test_a_correction_that_comes_before_the_step_has_parked_is_told_so(
    house: House, impatient: httpx.AsyncClient
) -> None:
    """It is not the request that is wrong."""
    saga, queue = f"ord-{a_key()}", f"early-{a_key()}"
    wish: dict[str, Any] = {"id": "int-1", "kind": "correct", "reason": "moved"}
    wish |= {"correction": {"ship_to": "addr_ok"}}
    async with Worker(
        house.temporal,
        task_queue=queue,
        workflows=[ParksBehindTheLook],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        handle = await house.temporal.start_workflow(
            ParksBehindTheLook.run, id=saga, task_queue=queue
        )
        answer = await impatient.post(f"/sagas/{saga}/interventions", json=wish)
        await handle.terminate()
    problem(answer, 409, "not-parked")


async def test_an_intervention_that_was_taken_is_the_same_also_after_the_end(
    house: House, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    path = f"/sagas/{saga}/interventions"
    wish: dict[str, Any] = {"id": "int-1", "kind": "correct", "reason": "moved"}
    wish |= {"correction": {"ship_to": "addr_ok"}}
    for _ in range(2):
        assert (await impatient.post(path, json=wish)).status_code == 202
    await settled(impatient, saga, "completed")
    await house.temporal.get_workflow_handle(saga).result()
    assert (await impatient.post(path, json=wish)).status_code == 202
    other = {"id": "int-1", "kind": "retry", "reason": "the carrier is back"}
    problem(await impatient.post(path, json=other), 409, "content-differs")
    assert len(await told(house, saga, "SagaResumed")) == 1


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "other", [{"correction": {"ship_to": "addr_slow"}}, {"step": "OpenPlan"}], ids=["input", "step"]
)
async def test_an_id_that_was_used_is_not_taken_for_something_else(
    impatient: httpx.AsyncClient, shop: Shop, other: dict[str, Any]
) -> None:
    """Who sends it would think that this was done."""
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    path = f"/sagas/{saga}/interventions"
    wish: dict[str, Any] = {"id": "int-1", "kind": "correct", "reason": "moved"}
    wish |= {"correction": {"ship_to": "addr_ok"}, "step": "BookShipment"}
    assert (await impatient.post(path, json=wish)).status_code == 202
    problem(await impatient.post(path, json=wish | other), 409, "content-differs")
    assert (await impatient.post(path, json=wish)).status_code == 202


@pytest.mark.thorough
async def test_a_parked_payment_can_be_taken_back(impatient: httpx.AsyncClient, shop: Shop) -> None:
    saga = await parked(impatient, shop, card="card_capture_broken")
    wish = {
        "id": "int-1",
        "kind": "compensate",
        "step": "CapturePayment",
        "reason": "the bank says no",
    }
    answer = await impatient.post(f"/sagas/{saga}/interventions", json=wish)
    assert answer.status_code == 202, answer.text
    assert (await settled(impatient, saga))["status"] == "compensated"


async def test_after_the_payment_there_is_no_way_back(
    impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to="addr_broken")
    wish = {"id": "int-1", "kind": "compensate", "reason": "never mind"}
    answer = await impatient.post(f"/sagas/{saga}/interventions", json=wish)
    assert "the pivot was done" in problem(answer, 409, "too-late")["detail"]


async def test_only_a_parked_step_can_be_told(api: httpx.AsyncClient, shop: Shop) -> None:
    saga = (await place(api, shop, ship_to="addr_slow")).json()["saga"]
    wish = {"id": "int-1", "kind": "retry", "reason": "impatience"}
    problem(await api.post(f"/sagas/{saga}/interventions", json=wish), 409, "not-parked")
    await settled(api, saga)

    async def told() -> httpx.Response:
        return await api.post(f"/sagas/{saga}/interventions", json=wish)

    problem(await refused_as(told, "saga-ended"), 409, "saga-ended")


async def test_an_intervention_needs_a_saga_and_an_id(api: httpx.AsyncClient, shop: Shop) -> None:
    wish = {"kind": "retry", "reason": "none"}
    path = "/sagas/nothing/interventions"
    problem(await api.post(path, json=wish), 400, "idempotency-key-missing")
    problem(await api.post(path, json={**wish, "id": "int-1"}), 404, "not-found")


# Every kind.


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"kind": "skip"}, "#/evidence"),
        ({"kind": "resolve", "evidence": ""}, "#/evidence"),
        ({"kind": "correct"}, "#/correction"),
        ({"kind": "retry", "correction": {"ship_to": "addr_ok"}}, "#/correction"),
        ({"kind": "retry", "happened": False}, "#/happened"),
        ({"kind": "ignore"}, "#/kind"),
    ],
)
async def test_what_does_not_fit_together_is_named(
    api: httpx.AsyncClient, wrong: dict[str, Any], pointer: str
) -> None:
    wish = {"id": "int-1", "reason": "any", **wrong}
    answer = await api.post("/sagas/any/interventions", json=wish)
    found = problem(answer, 422, "invalid-request")
    assert [one["pointer"] for one in found["errors"]] == [pointer]


async def test_a_step_goes_on_with_corrected_input(
    house: House, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    path = f"/sagas/{saga}/interventions"
    wish = {"kind": "correct", "reason": "the customer has moved", "actor": "ops"}
    unknown = {**wish, "id": "int-1", "correction": {"street": "1"}}
    found = problem(await impatient.post(path, json=unknown), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == "#/correction/street"
    wrong = {**wish, "id": "int-2", "correction": {"parcels": "one"}}
    found = problem(await impatient.post(path, json=wrong), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == "#/correction/parcels"
    other = {**wish, "id": "int-3", "correction": {"order": "another"}}
    found = problem(await impatient.post(path, json=other), 422, "invalid-request")
    assert "order" in found["detail"]
    assert await told(house, saga, "SagaResumed") == []
    right = {**wish, "id": "int-4", "correction": {"ship_to": "addr_ok"}}
    assert (await impatient.post(path, json=right)).status_code == 202
    done = await settled(impatient, saga)
    assert done["status"] == "completed"
    [resumed] = [one for one in done["timeline"] if one["what"] == "SagaResumed"]
    assert (resumed["intervention"], resumed["outcome"]) == ("int-4", "correct")
    assert "addr_ok" in resumed["correction"]
    assert UNDELIVERABLE in resumed["correction"]


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", ["skip", "resolve"])
async def test_a_duty_is_left_out_with_evidence(
    house: House, impatient: httpx.AsyncClient, shop: Shop, kind: str
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    wish = {
        "id": "int-1",
        "kind": kind,
        "reason": "sent by hand",
        "evidence": "ticket 88\nnumber 4711",
    }
    answer = await impatient.post(f"/sagas/{saga}/interventions", json=wish)
    assert answer.status_code == 202, answer.text
    assert (await settled(impatient, saga))["status"] == "completed"
    [resumed] = await told(house, saga, "SagaResumed")
    assert (resumed["kind"], resumed["evidence"]) == (kind, "ticket 88\nnumber 4711")


async def test_a_kind_that_does_not_fit_the_step_is_refused(
    impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, card="card_capture_broken")
    wish = {"id": "int-1", "kind": "skip", "reason": "any", "evidence": "any"}
    answer = await impatient.post(f"/sagas/{saga}/interventions", json=wish)
    assert "compensate" in problem(answer, 409, "not-possible")["detail"]


async def onboarding(house: House, api: httpx.AsyncClient) -> str:
    """A saga that waits for somebody's approval."""
    merchant = a_merchant()
    kinds = ("identity", "bank_account", "registration")
    asked = OnboardMerchant(
        merchant=merchant,
        registration="reg_ok",
        documents=tuple(Document(kind=kind, reference="document-1") for kind in kinds),
        currency="EUR",
        fee_bps=250,
        submitted_at=NOON,
    )
    options = RunOptions(queue_prefix=house.queue_prefix)
    saga, queue = f"onboard-{merchant}", f"{house.queue_prefix}sagas"
    # The environment's own client makes workflows skip time, and nobody could answer in time.
    patient = Client(house.temporal.service_client, data_converter=DATA_CONVERTER)
    await patient.start_workflow(
        "OnboardMerchant", args=[asked, options, "ops", 1], id=saga, task_queue=queue
    )
    await settled(api, saga, "awaiting")
    return saga


@pytest.mark.quick(1)
@pytest.mark.parametrize(("approved", "ending"), [(True, "completed"), (False, "refused")])
async def test_what_waits_for_a_person_is_answered_by_one(
    house: House, api: httpx.AsyncClient, *, approved: bool, ending: str
) -> None:
    saga = await onboarding(house, api)
    [waiting] = (await api.get(f"/sagas/{saga}")).json()["waiting"]
    assert (waiting["step"], waiting["kind"]) == ("RequestApproval", "awaiting")
    assert waiting["until"] > waiting["since"]
    verdict = {"id": "ans-1", "approved": approved, "reason": "looked into it", "actor": "rita"}
    for _ in range(2):
        answer = await api.post(f"/sagas/{saga}/answers", json=verdict)
        assert answer.status_code in {202, 409}, answer.text  # 409 once the saga has ended
    assert (await settled(api, saga))["status"] == ending
    [heard] = await told(house, saga, "StepAnswered")
    assert (heard["approved"], heard["actor"]) == (approved, "rita")


async def test_an_answer_needs_a_step_that_waits_for_one(
    impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    yes = {"id": "ans-1", "approved": True, "reason": "known"}
    path = f"/sagas/{saga}/answers"
    problem(await impatient.post(path, json=yes), 409, "not-parked")
    problem(await impatient.post(path, json={**yes, "approved": "yes"}), 422, "invalid-request")
    problem(await impatient.post("/sagas/nothing/answers", json=yes), 404, "not-found")


async def test_any_saga_can_be_cancelled_by_its_own_address(
    impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    answer = await impatient.post(f"/sagas/{saga}/cancellation", json={"reason": "never mind"})
    assert "CapturePayment" in problem(answer, 409, "too-late")["detail"]


# Another attempt.


@pytest.mark.thorough
async def test_a_saga_whose_workflow_was_terminated_is_begun_again(
    house: House, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    path, wish = f"/sagas/{saga}/attempts", {"reason": "the code is mended", "actor": "ops"}
    problem(await impatient.post(path, json=wish), 409, "not-failed")
    await house.temporal.get_workflow_handle(saga).terminate("by mistake")
    answer = await impatient.post(path, json=wish)
    assert (answer.status_code, answer.json()["attempt"]) == (202, 2), answer.text
    second = await read(
        impatient,
        f"/sagas/{saga}",
        lambda found: found["attempt"] == 2 and found["status"] == "parked",
    )
    assert second["actor"] == "ops"
    started = await told(house, saga, "SagaStarted")
    assert [one["attempt"] for one in started] == [1, 2]
    assert started[1]["at_stake"] == started[0]["at_stake"]

    async def again() -> httpx.Response:
        return await impatient.post(path, json=wish)

    problem(await refused_as(again, "not-failed"), 409, "not-failed")
    problem(await impatient.post("/sagas/nothing/attempts", json=wish), 404, "not-found")


# Many at once.


def wished(shop: Shop, **changes: Any) -> dict[str, Any]:
    meant = {"merchant": shop.merchant}
    wish = {"filter": meant, "kind": "skip", "reason": "sent by hand", "evidence": "ticket 88"}
    return {**wish, "actor": "ops", "dry_run": False, **changes}


async def ended(api: httpx.AsyncClient, id_: str) -> Any:
    return await read(api, f"/interventions/{id_}", lambda found: found["state"] != "running")


async def test_a_dry_run_shows_who_is_meant_and_tells_nobody(
    house: House, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    dry = {"dry_run": True}
    answer = await impatient.post("/interventions", json=wished(shop, **dry))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["count"], found["at_stake"]) == (1, [{"amount": 100_00, "currency": "EUR"}])
    [one] = found["sagas"]
    assert (one["saga"], one["step"]) == (saga, "BookShipment")
    assert "ShipmentDeclined" in one["cause"]
    assert one["seconds"] >= 0
    for meant in ({"failure": "shipmentdeclined"}, {"step": "BookShipment"}):
        which = {"merchant": shop.merchant, **meant}
        same = await impatient.post("/interventions", json=wished(shop, filter=which, **dry))
        assert same.json()["count"] == 1
    words = {"failure": "the carrier declined"}  # sealed, and found by the refusal's name alone
    for other in ({"failure": "%"}, words, {"older_than_seconds": 9000}, {"step": "ConfirmOrder"}):
        none_of = {"merchant": shop.merchant, **other}
        none = await impatient.post("/interventions", json=wished(shop, filter=none_of, **dry))
        assert (none.json()["count"], none.json()["sagas"]) == (0, [])
    assert await told(house, saga, "SagaResumed") == []


@pytest.mark.thorough
async def test_many_parked_sagas_go_on_each_with_its_own_result(
    house: House, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    sagas = {await parked(impatient, shop, ship_to=UNDELIVERABLE) for _ in range(2)}
    refusing = await parked(impatient, shop, card="card_capture_broken")
    elsewhere = await parked(impatient, await open_shop(impatient), ship_to=UNDELIVERABLE)
    headers = {"Idempotency-Key": a_key()}
    answer = await impatient.post("/interventions", json=wished(shop), headers=headers)
    assert answer.status_code == 202, answer.text
    id_ = answer.json()["intervention"]
    assert id_ == headers["Idempotency-Key"]
    assert answer.headers["Location"] == f"/interventions/{id_}"
    again = await impatient.post("/interventions", json=wished(shop), headers=headers)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await impatient.post("/interventions", json=wished(shop, kind="retry"), headers=headers)
    problem(other, 422, "idempotency-key-reused")

    found = await ended(impatient, id_)
    assert (found["state"], found["found"], found["remaining"]) == ("finished", 3, 0)
    assert (found["accepted"], found["refused"], found["unreachable"]) == (2, 1, 0)
    assert (found["actor"], found["filter"]) == ("ops", {"merchant": shop.merchant})
    items = (await impatient.get(f"/interventions/{id_}/items")).json()["items"]
    results = {one["saga"]: one["status"] for one in items}
    assert results == {**dict.fromkeys(sagas, "accepted"), refusing: "refused"}
    [no] = (await impatient.get(f"/interventions/{id_}/items?status=refused")).json()["items"]
    assert (no["saga"], no["step"]) == (refusing, "CapturePayment")
    assert "compensate" in no["said"]
    for saga in sagas:
        assert (await settled(impatient, saga))["status"] == "completed"
        [resumed] = await told(house, saga, "SagaResumed")
        assert resumed["intervention"] == f"{id_}:{saga}"
        assert (resumed["actor"], resumed["evidence"]) == ("ops", "ticket 88")
    assert await told(house, elsewhere, "SagaResumed") == []
    late = await impatient.post(f"/interventions/{id_}/stop", json={"reason": "too late"})
    problem(late, 409, "intervention-ended")


@pytest.mark.thorough
async def test_the_items_come_page_by_page(impatient: httpx.AsyncClient, shop: Shop) -> None:
    sagas = {await parked(impatient, shop, ship_to=UNDELIVERABLE) for _ in range(3)}
    headers = {"Idempotency-Key": a_key()}
    await impatient.post("/interventions", json=wished(shop), headers=headers)
    id_ = headers["Idempotency-Key"]
    await ended(impatient, id_)
    seen, address = [], f"/interventions/{id_}/items?limit=2"
    while address:
        page = (await impatient.get(address)).json()
        seen.append([one["saga"] for one in page["items"]])
        address = page["next"]
    assert [len(one) for one in seen] == [2, 1]
    assert {saga for one in seen for saga in one} == sagas


@pytest.mark.thorough
async def test_a_correction_is_told_to_many(impatient: httpx.AsyncClient, shop: Shop) -> None:
    saga = await parked(impatient, shop, ship_to=UNDELIVERABLE)
    wish = {
        "kind": "correct",
        "evidence": None,
        "correction": {"ship_to": "addr_ok"},
        "filter": {"merchant": shop.merchant, "step": "BookShipment"},
    }
    headers = {"Idempotency-Key": a_key()}
    answer = await impatient.post("/interventions", json=wished(shop, **wish), headers=headers)
    assert answer.status_code == 202, answer.text
    assert (await ended(impatient, headers["Idempotency-Key"]))["accepted"] == 1
    assert (await settled(impatient, saga))["status"] == "completed"


@pytest.mark.thorough
async def test_stopped_it_tells_no_more_and_says_who_stopped_it(
    house: House, impatient: httpx.AsyncClient, shop: Shop
) -> None:
    sagas = [await parked(impatient, shop, ship_to=UNDELIVERABLE) for _ in range(2)]
    headers = {"Idempotency-Key": a_key()}
    id_ = headers["Idempotency-Key"]
    async with nothing_is_appended(house):
        await impatient.post("/interventions", json=wished(shop), headers=headers)
        for who in ("bob", "ann"):
            stop = {"reason": "it made it worse", "actor": who}
            answer = await impatient.post(f"/interventions/{id_}/stop", json=stop)
            assert answer.status_code == 202, answer.text
    found = await ended(impatient, id_)
    assert (found["state"], found["stopped_by"]) == ("stopped", "bob")
    assert (found["accepted"], found["remaining"]) == (0, 2)
    assert [await told(house, saga, "SagaResumed") for saga in sagas] == [[], []]
    listed = (await impatient.get("/interventions?limit=1")).json()["items"]
    assert [one["intervention"] for one in listed] == [id_]


@asynccontextmanager
async def nothing_is_appended(house: House) -> AsyncIterator[None]:
    """Whoever appends to a saga waits until the block ends."""
    async with await psycopg.AsyncConnection.connect(house.database) as connection:
        await connection.execute("SELECT FROM streams WHERE name LIKE 'saga-%' FOR UPDATE")
        yield


async def test_many_are_only_told_with_a_filter_and_a_key(
    api: httpx.AsyncClient, shop: Shop
) -> None:
    nobody = wished(shop, filter={})
    found = problem(await api.post("/interventions", json=nobody), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == "#/filter"
    problem(await api.post("/interventions", json=wished(shop)), 400, "idempotency-key-missing")
    any_step = wished(shop, kind="correct", evidence=None, correction={"ship_to": "x"})
    found = problem(await api.post("/interventions", json=any_step), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == "#/filter/step"
    headers = {"Idempotency-Key": "a+b"}
    answer = await api.post("/interventions", json=wished(shop), headers=headers)
    problem(answer, 400, "malformed-header")
    problem(await api.get("/interventions/nothing"), 404, "not-found")
    problem(await api.get("/interventions/nothing/items"), 404, "not-found")
    stop = {"reason": "any"}
    problem(await api.post("/interventions/nothing/stop", json=stop), 404, "not-found")


async def told(house: House, saga: str, what: str) -> list[dict[str, Any]]:
    """What the saga's own stream says, from the store, with its personal texts opened."""
    found = await house.sql(
        "SELECT data FROM events WHERE stream = %s AND type = %s ORDER BY version",
        f"saga-{saga}",
        what,
    )
    return await house.personal.open([data for (data,) in found])
