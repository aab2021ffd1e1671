"""What the simulators tell, to a real HTTP receiver that verifies every signature."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from handrail.dev.supervisor import wait_until
from handrail.simulators import webhook_sender as webhooks
from handrail.simulators.in_process import served
from handrail.simulators.webhook_sender import Target
from handrail.webhook_signatures import new_secret, verify
from runtime.simulators.bank import create_bank
from runtime.simulators.carrier import create_carrier
from tests.runtime.conftest import Spawn
from tests.unencrypted import a_client

SECRET = new_secret()
KEYS = (f"k-{number}" for number in itertools.count())
ORDERS = (f"o-{number}" for number in itertools.count())


@dataclass
class Receiver:
    """Writes down what comes, and says no to the first `refuse` of it."""

    refuse: int = 0
    tries: list[str] = field(default_factory=list)
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    """Ids and bodies."""

    @property
    def told(self) -> list[tuple[str, str]]:
        """Types and orders."""
        bodies = [json.loads(body) for _, body in self.heard]
        return [(body["type"], body["data"]["order"]) for body in bodies]

    def types(self, order: str) -> list[str]:
        return [type_ for type_, of in self.told if of == order]

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/webhooks/any")
        async def receive(request: Request) -> Response:
            body = await request.body()
            id_ = verify([SECRET], request.headers, body, time.time(), 60)
            self.tries.append(id_)
            if len(self.tries) <= self.refuse:
                return Response(status_code=503)
            self.heard.append((id_, body))
            return Response(status_code=202)

        return app


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def target(receiver: Receiver) -> AsyncIterator[Target]:
    async with served(receiver.app()) as address:
        yield Target(f"{address}/webhooks/any", SECRET)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with served(app) as address, a_client(address) as client:
        yield client


@asynccontextmanager
async def a_carrier(
    target: Target, ledger: Path | None = None, *, dispatch: float = 0, deliver: float = 0
) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_carrier(ledger, target)) as carrier:
        asked = {"dispatch_after": dispatch, "deliver_after": deliver}
        told = await carrier.post("/timetable", json=asked)
        assert told.json() == asked
        yield carrier


async def book(carrier: httpx.AsyncClient, ship_to: str = "addr_ok") -> tuple[str, str]:
    """The order, and the key of its booking."""
    order, key = next(ORDERS), next(KEYS)
    asked = {"order": order, "merchant": "m", "ship_to": ship_to, "parcels": 1}
    booked = await carrier.post("/bookings", json=asked, headers={"Idempotency-Key": key})
    assert booked.status_code == 201, booked.text
    return order, key


async def cancel(carrier: httpx.AsyncClient, order: str, key: str) -> None:
    asked = {"order": order, "closes": key}
    headers = {"Idempotency-Key": next(KEYS)}
    assert (await carrier.post("/cancellations", json=asked, headers=headers)).status_code == 201


async def capture(bank: httpx.AsyncClient, card: str) -> str:
    order = next(ORDERS)
    asked: dict[str, Any] = {"order": order, "amount": 500, "currency": "EUR"}
    for path, more in (("/authorisations", {"card": card}), ("/captures", {})):
        headers = {"Idempotency-Key": next(KEYS)}
        answer = await bank.post(path, json=asked | more, headers=headers)
        assert answer.status_code == 201, answer.text
    return order


async def happens(what: Callable[[], bool]) -> None:
    assert await wait_until(what, seconds=20)


def nothing_is_being_told() -> bool:
    return not [task for task in asyncio.all_tasks() if "_tell_all" in repr(task.get_coro())]


@pytest.mark.parametrize(
    ("ship_to", "types"),
    [
        ("addr_ok", ["parcel.dispatched", "parcel.delivered"]),
        ("addr_lost", ["parcel.dispatched", "parcel.delivered"]),
        ("addr_parcel_lost", ["parcel.dispatched", "parcel.lost"]),
        ("addr_parcel_late_0", ["parcel.dispatched", "parcel.delivered"]),
        ("addr_parcel_silent", ["parcel.dispatched"]),
        ("addr_parcel_undispatched", []),
    ],
)
async def test_a_parcel_is_told_as_its_address_says(
    receiver: Receiver, target: Target, ship_to: str, types: list[str]
) -> None:
    async with a_carrier(target) as carrier:
        if ship_to == "addr_lost":
            asked = {"order": "o-lost", "merchant": "m", "ship_to": ship_to, "parcels": 1}
            headers = {"Idempotency-Key": next(KEYS)}
            lost = await carrier.post("/bookings", json=asked, headers=headers)
            assert lost.status_code == 504
            order = "o-lost"
        else:
            order, _ = await book(carrier, ship_to)
        after, _ = await book(carrier)
        await happens(lambda: len(receiver.types(after)) == 2)
        await happens(lambda: receiver.types(order) == types)


async def test_what_is_told_names_order_booking_and_time(
    receiver: Receiver, target: Target
) -> None:
    async with a_carrier(target) as carrier:
        order, _ = await book(carrier, "addr_parcel_lost")
        [booking] = (await carrier.get("/ledger")).json()["bookings"]
        await happens(lambda: len(receiver.heard) == 2)
    data = json.loads(receiver.heard[-1][1])["data"]
    assert (data["order"], data["booking"]) == (order, booking["reference"])
    assert data["cause"] == "lost in transit"
    assert data["at"].endswith("+00:00")


async def test_an_address_may_have_everything_told_twice(
    receiver: Receiver, target: Target
) -> None:
    async with a_carrier(target) as carrier:
        await book(carrier, "addr_parcel_twice")
        await happens(lambda: len(receiver.heard) == 4)
    first, again, second, once_more = receiver.heard
    assert first == again
    assert second == once_more
    assert first[0] != second[0]


async def test_an_unknown_word_about_a_parcel_is_an_unknown_address(target: Target) -> None:
    async with a_carrier(target) as carrier:
        for ship_to in ("addr_parcel_eaten", "addr_parcel_late_soon", "addr_parcel"):
            asked = {"order": "o", "merchant": "m", "ship_to": ship_to, "parcels": 1}
            headers = {"Idempotency-Key": next(KEYS)}
            answer = await carrier.post("/bookings", json=asked, headers=headers)
            assert answer.json() == {"status": "declined", "code": "unknown_address"}


async def test_what_is_not_heard_is_told_again_before_what_comes_after_it(
    receiver: Receiver, target: Target
) -> None:
    receiver.refuse = 3
    async with a_carrier(target) as carrier:
        order, _ = await book(carrier)
        await happens(lambda: len(receiver.heard) == 2)
    assert receiver.types(order) == ["parcel.dispatched", "parcel.delivered"]
    first, second = (id_ for id_, _ in receiver.heard)
    assert receiver.tries == [first] * 4 + [second]


async def test_one_order_that_is_not_heard_holds_up_no_other(
    receiver: Receiver, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_FIRST_PAUSE", 60)
    monkeypatch.setattr(webhooks, "_LONGEST_PAUSE", 60)
    receiver.refuse = 1
    async with a_carrier(target) as carrier:
        stuck, _ = await book(carrier)
        await happens(lambda: len(receiver.tries) == 1)
        other, _ = await book(carrier)
        await happens(lambda: len(receiver.types(other)) == 2)
    assert receiver.types(stuck) == []


async def test_of_a_cancelled_booking_nothing_more_is_told(
    receiver: Receiver, target: Target, tmp_path: Path
) -> None:
    ledger = tmp_path / "carrier.ledger"
    async with a_carrier(target, ledger, deliver=3600) as carrier:
        order, key = await book(carrier)
        await happens(lambda: len(receiver.heard) == 1)
        await cancel(carrier, order, key)
        again, _ = await book(carrier, "addr_parcel_silent")
        await happens(lambda: len(receiver.types(again)) == 1)
        await happens(nothing_is_being_told)
    async with a_carrier(target, ledger) as carrier:
        after, _ = await book(carrier)
        await happens(lambda: len(receiver.types(after)) == 2)
    assert receiver.types(order) == ["parcel.dispatched"]


@pytest.mark.thorough
async def test_a_restart_goes_on_where_it_was_and_repeats_nothing(
    receiver: Receiver, target: Target, tmp_path: Path
) -> None:
    ledger = tmp_path / "carrier.ledger"
    async with a_carrier(target, ledger, deliver=3600) as carrier:
        order, _ = await book(carrier)
        await happens(lambda: len(receiver.heard) == 1)
    async with running(create_carrier(ledger, target)):
        await happens(lambda: len(receiver.heard) == 2)
    assert receiver.types(order) == ["parcel.dispatched", "parcel.delivered"]


async def test_what_was_due_before_a_restart_is_told_with_the_same_id_and_body(
    receiver: Receiver, target: Target, tmp_path: Path
) -> None:
    ledger = tmp_path / "carrier.ledger"
    async with a_carrier(Target("http://127.0.0.1:9/closed", SECRET), ledger) as carrier:
        await book(carrier, "addr_parcel_silent")
        written = ledger.with_name("carrier.ledger.webhooks")
        await happens(lambda: written.exists() and b"due" in written.read_bytes())
    id_, progress = json.loads(written.read_text())
    async with running(create_carrier(ledger, target)):
        await happens(lambda: len(receiver.heard) == 1)
    assert receiver.heard == [(id_, progress["body"].encode())]


async def test_who_has_no_target_tells_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "carrier.ledger"
    async with running(create_carrier(ledger)) as carrier:
        await book(carrier)
        assert nothing_is_being_told()
    assert ledger.with_name("carrier.ledger.webhooks").read_bytes() == b""


async def test_the_bank_tells_of_captures_and_then_of_disputes(
    receiver: Receiver, target: Target
) -> None:
    async with running(create_bank(None, target)) as bank:
        plain = await capture(bank, "card_ok")
        disputed = await capture(bank, "card_disputed")
        await happens(lambda: len(receiver.heard) == 3)
    assert receiver.types(plain) == ["payment.captured"]
    assert receiver.types(disputed) == ["payment.captured", "payment.disputed"]
    [told] = [body for _, body in receiver.heard if b"payment.disputed" in body]
    data = json.loads(told)["data"]
    assert data["amount"] == {"amount": 500, "currency": "EUR"}
    assert data["dispute"].startswith("dispute-")


async def test_a_simulator_with_a_target_and_no_secret_names_what_is_missing(
    handrail: Spawn,
) -> None:
    process = await handrail("bank", webhook_target_url="http://127.0.0.1:8080")
    _, error = await process.communicate()

    assert process.returncode == 2
    [line] = error.decode().splitlines()
    assert line.startswith("HANDRAIL_BANK_WEBHOOK_SECRETS: ")
