"""`handrail verify` proves what holds for every app, also where the business adds nothing."""

from __future__ import annotations

import orjson
import pytest

from handrail.app import App
from handrail.cli.verify import verify
from handrail.eventstore.pool import open_pool
from handrail.eventstore.store import EventStore
from handrail.kernel import NO_TENANT, Event, stream_name
from handrail.sagas.events import NOTHING_AT_STAKE, SagaEnded, SagaStarted, StepDone
from handrail.settings import Settings
from handrail.verify.prove import prove
from handrail.verify.store_invariants import STORE_INVARIANTS
from handrail.verify.verification import INVARIANTS, OF_EVERY_APP
from runtime.app import HANDRAIL

APP = App(contexts=())
STARTED = SagaStarted(
    saga="trip-1",
    saga_type="Trip",
    shape=1,
    attempt=1,
    tenant=NO_TENANT,
    at_stake=NOTHING_AT_STAKE,
    actor="ann",
)
ENDED = SagaEnded(saga="trip-1", attempt=1, ending="completed", because="", reason="")
NOT_TAKEN_BACK = SagaEnded(saga="trip-1", attempt=1, ending="refused", because="x", reason="")
DONE = StepDone(saga="trip-1", attempt=1, step="BookFlight", outcome="FlightBooked")


async def happened(database: str, *events: Event) -> None:
    async with open_pool(database, role="handrail_app") as pool:
        stream = stream_name("saga", "trip-1")
        await EventStore(pool, APP.codec).append([(stream, 0, list(events))])


async def test_a_saga_that_ended_as_it_should_is_right(database_with_read_models: str) -> None:
    await happened(database_with_read_models, STARTED, ENDED)
    proof = await prove(database_with_read_models, APP, OF_EVERY_APP)
    assert proof.holds, proof.violations
    assert proof.findings.keys() == INVARIANTS.keys() | STORE_INVARIANTS.keys()
    assert (proof.events, proof.sagas) == (2, 1)


async def test_a_step_that_was_not_taken_back_is_found(database_with_read_models: str) -> None:
    await happened(database_with_read_models, STARTED, DONE, NOT_TAKEN_BACK)
    proof = await prove(database_with_read_models, APP, OF_EVERY_APP)
    [first, *_] = proof.violations["steps_have_outcomes"]
    assert first == "saga trip-1 (refused): BookFlight of attempt 1 was not taken back"


async def test_verify_says_what_holds_of_an_app_that_declares_nothing(
    database_with_read_models: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await happened(database_with_read_models, STARTED, ENDED)
    settings = Settings(database_url=database_with_read_models)
    assert await verify(APP, settings, json=True) == 0
    said = orjson.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["invariants"] == dict.fromkeys(INVARIANTS.keys() | STORE_INVARIANTS.keys(), True)


def test_the_shop_is_held_to_what_holds_for_every_app() -> None:
    assert HANDRAIL.verification is not None
    of_the_shop = HANDRAIL.verification(HANDRAIL.settings())
    assert INVARIANTS.keys() <= of_the_shop.everything.keys()
