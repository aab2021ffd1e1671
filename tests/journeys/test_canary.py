"""One person goes through everything, and is erased: no byte of them is left in any store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import duckdb
import httpx
import psycopg
import pytest
from psycopg import sql

from handrail.dev.postgres import DATABASE, _program
from handrail.dev.rabbitmq import is_installed
from handrail.dev.stack import Stack
from handrail.personal import ERASED
from handrail.processes import lake_exporter
from handrail.projections.rebuild import rebuild
from handrail.temporal.client import connect
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from runtime.verify import prove
from tests.api.shop import Shop, a_key, open_shop, place
from tests.journeys.canary_acts import (
    CANARIES,
    CARD,
    LONG,
    MAIL,
    NAME,
    PHONE,
    REVIEWED,
    STREET,
    TwoPersons,
    cancels_before_the_pivot,
    dies_at_the_broker,
    exported,
    is_an_operators_matter,
    is_searched_for,
    once,
    put_right_by_two,
    registered,
    settles,
    two_persons,
    when,
)
from tests.tracing.collector import collecting
from tests.webhook_endpoints.receiver import Receiver, receiving

pytestmark = pytest.mark.journey

TRACES: Final = "traces"
"""The folder of what the processes export."""


@dataclass(frozen=True)
class Person:
    """`cancelled`, `alone` and `corrected` are sagas of hers, `in_many` an intervention that one
    of them was meant by; `endpoint` is one of the merchant's, and `receiver` what it got there.
    """

    shop: Shop
    order: str
    saga_of_return: str
    cancelled: str
    alone: str
    corrected: str
    in_many: str
    endpoint: str
    receiver: Receiver


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    folder = tmp_path_factory.mktemp("canary")
    settings = ShopSettings(
        data_dir=folder,
        subject_keys_file=None,
        api_port=0,
        metrics_port=0,
        step_patience_seconds=1,
        first_try_seconds=0.5,
        subject_keys_seconds=1,
        review_above=REVIEWED,
    )
    with collecting(folder / TRACES) as collector, pytest.MonkeyPatch.context() as patched:
        patched.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
        async with Stack(
            HANDRAIL,
            settings,
            notifiers=1,
            dispatchers=1,
            consumers=True,
            broker=is_installed(),
            temporal_ui=False,
        ) as stack:
            yield stack


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
async def two(stack: Stack) -> AsyncIterator[TwoPersons]:
    async with two_persons(stack) as found:
        yield found


async def _put_right(api: httpx.AsyncClient, saga: str) -> None:
    await once(api, f"/sagas/{saga}", status="parked")
    answer = await api.post(
        f"/sagas/{saga}/interventions",
        json={
            "kind": "correct",
            "correction": {"ship_to": STREET},
            "reason": f"{NAME} rang: she has moved",
            "actor": "ops",
        },
        headers={"Idempotency-Key": a_key()},
    )
    assert answer.status_code == 202, answer.text
    await once(api, f"/sagas/{saga}", status="completed")


@pytest.fixture(scope="module")
async def person(stack: Stack, api: httpx.AsyncClient, two: TwoPersons) -> AsyncIterator[Person]:
    """Has ordered, was reached, paid, sent something back, cancelled, rang; all of it is over."""
    async with receiving() as receiver:
        yield await _person(stack, api, two, receiver)


async def _person(
    stack: Stack, api: httpx.AsyncClient, two: TwoPersons, receiver: Receiver
) -> Person:
    shop = await open_shop(api)
    await registered(api, shop, receiver.url)
    contact = {
        "language": "en",
        "time_zone": "UTC",
        "quiet_hours": None,
        "addresses": {"email": MAIL, "sms": PHONE},
    }
    kept = await api.put(f"/customers/{shop.customer}/contact", json=contact)
    assert kept.status_code == 200, kept.text
    order = (await place(api, shop, card=CARD, ship_to="addr_undeliverable")).json()["order"]
    await _put_right(api, order)
    await once(api, f"/orders/{order}", status="completed")
    await settles(api, order)
    sent_back = await api.post(
        f"/orders/{order}/returns",
        json={"lines": [{"sku": shop.sku, "quantity": 1}], "reason": f"{NAME} did not like it"},
        headers={"Idempotency-Key": a_key()},
    )
    assert sent_back.is_success, sent_back.text
    saga = sent_back.json()["saga"]
    await once(api, f"/sagas/{saga}", status="completed")
    await _is_written_to(api, shop.customer)
    cancelled = await cancels_before_the_pivot(api, shop)
    alone, corrected, in_many = await put_right_by_two(api, two, shop)
    await is_searched_for(two)
    if stack.rabbitmq is not None:
        await dies_at_the_broker(stack, two, order)
    endpoint = await is_an_operators_matter(two, shop.merchant, receiver.url)
    await when(
        api,
        f"/webhook-endpoints/{endpoint}",
        lambda found: not found["waiting"] and found["last_delivered_at"],
    )
    await lake_exporter.catch_up(stack.settings)
    return Person(*(shop, order, saga, cancelled, alone, corrected, in_many, endpoint, receiver))


async def _is_written_to(api: httpx.AsyncClient, customer: str) -> None:
    async with asyncio.timeout(LONG):
        while True:
            found = (await api.get(f"/customers/{customer}/messages")).json()["items"]
            if any(one["state"] == "sent" for one in found):
                return
            await asyncio.sleep(0.1)


def hits(texts: Iterator[tuple[str, bytes]]) -> list[tuple[str, str]]:
    """Where which canary was found: as it is, in an address, or as a dump writes bytes."""
    forms = {
        form: one for one in CANARIES for form in (one, quote(one, safe=""), one.encode().hex())
    }
    return [
        (where, one)
        for where, text in texts
        for form, one in forms.items()
        if form.encode() in text
    ]


def files(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Of the servers, and logs, traces and lake. A `.ledger` is another company's."""
    assert any((stack.data_dir / TRACES).iterdir())
    for path in sorted(stack.data_dir.rglob("*")):
        if path.is_file() and path.suffix != ".ledger":
            yield str(path.relative_to(stack.data_dir)), path.read_bytes()


async def rows(url: str) -> list[tuple[str, bytes]]:
    """Every row of every table, as a dump has it: files may be compressed."""
    found = []
    async with await psycopg.AsyncConnection.connect(url) as owner:
        tables = await owner.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace"
        )
        for (name,) in await tables.fetchall():
            query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))
            for (row,) in await (await owner.execute(query)).fetchall():
                found.append((name, row.encode()))
    return found


async def dump(stack: Stack) -> bytes:
    """What `pg_dump` writes of the database."""
    assert stack.postgres is not None
    process = await asyncio.create_subprocess_exec(
        _program("pg_dump"),
        stack.postgres._administrators_url(DATABASE),
        stdout=asyncio.subprocess.PIPE,
    )
    written, _ = await process.communicate()
    assert process.returncode == 0
    assert b"COPY public.dead_message_acts" in written
    return written


def lake(stack: Stack) -> list[tuple[str, bytes]]:
    """Every row of every file."""
    files = [str(one) for one in stack.settings.lake_folder.rglob("*.parquet")]
    assert files
    with duckdb.connect() as connection:
        return [
            ("lake", repr(row).encode())
            for row in connection.read_parquet(files, union_by_name=True).fetchall()
        ]


async def metrics(stack: Stack, api: httpx.AsyncClient) -> list[tuple[str, bytes]]:
    return [("metrics", (await api.get("/metrics")).content)]


async def everywhere(stack: Stack, api: httpx.AsyncClient) -> list[tuple[str, str]]:
    assert stack.postgres is not None
    await _written_out(stack.postgres._administrators_url(DATABASE))
    return [
        *hits(files(stack)),
        *hits(iter(await rows(stack.database_url))),
        *hits(iter([("dump", await dump(stack))])),
        *hits(iter(lake(stack))),
        *hits(iter(await metrics(stack, api))),
    ]


async def _written_out(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        await owner.execute("CHECKPOINT")


async def test_while_the_person_is_known_no_store_holds_them_in_clear(
    stack: Stack, api: httpx.AsyncClient, person: Person
) -> None:
    saga = (await api.get(f"/sagas/{person.order}")).text
    contact = (await api.get(f"/customers/{person.shop.customer}/contact")).text
    assert all(one in saga for one in (NAME, STREET))
    assert all(one in contact for one in (MAIL, PHONE))
    for one in (person.cancelled, person.alone, person.corrected):
        assert NAME in (await api.get(f"/sagas/{one}")).text
    assert await everywhere(stack, api) == []


def test_other_companies_were_asked_in_clear(stack: Stack, person: Person) -> None:
    told = {one.name: one.read_bytes() for one in stack.data_dir.glob("*.ledger")}
    assert CARD.encode() in told["bank.ledger"]
    assert STREET.encode() in told["carrier.ledger"]
    assert MAIL.encode() in told["provider.ledger"]


async def test_what_came_of_the_person_at_the_merchant_stays_there_and_is_withheld(
    person: Person,
) -> None:
    streams = person.receiver.streams()
    assert f"order-{person.order}" in streams
    assert f"order-{person.cancelled}" in streams
    got = [("webhook", repr(one).encode()) for one in person.receiver.got]
    assert hits(iter(got)) == []


async def test_the_audit_is_exported_with_what_was_said_in_it(
    two: TwoPersons, person: Person
) -> None:
    for text in (await exported(two)).values():
        assert f"{NAME} has moved" in text
        assert f"/orders/{person.cancelled}/cancellation" not in text, "no act of an operator"


async def test_once_the_person_is_erased_nothing_of_them_can_be_read(
    stack: Stack, api: httpx.AsyncClient, person: Person
) -> None:
    customer = person.shop.customer
    asked = await api.delete(f"/customers/{customer}", headers={"Handrail-Actor": "privacy"})
    assert asked.status_code == 202, asked.text
    await once(api, f"/sagas/{asked.json()['saga']}", status="completed")
    async with await psycopg.AsyncConnection.connect(stack.database_url) as owner:
        cursor = await owner.execute(
            "SELECT count(*), count(wrapped) FROM subject_keys WHERE subject = %s",
            (f"customer:{customer}",),
        )
        assert await cursor.fetchone() == (1, 0)
    await asyncio.sleep(2 * stack.settings.subject_keys_seconds)  # how long a key is remembered
    told: Sequence[str] = [
        (await api.get(path)).text
        for path in (
            f"/sagas/{person.order}",
            f"/sagas/{person.order}/events",
            f"/streams/saga-{person.order}",
            f"/streams/plan-{person.order}",
            f"/sagas/{person.saga_of_return}",
            f"/customers/{customer}/contact",
            f"/customers/{customer}/messages",
            f"/sagas/{person.cancelled}",
            f"/streams/saga-{person.cancelled}",
            f"/sagas/{person.alone}",
            f"/streams/saga-{person.alone}",
            f"/sagas/{person.corrected}",
            f"/streams/saga-{person.corrected}",
            f"/webhook-endpoints/{person.endpoint}/deliveries",
        )
    ]
    assert not [one for one in CANARIES if any(one in text for text in told)]
    assert ERASED in told[0]
    assert await everywhere(stack, api) == []


async def test_after_an_erasure_every_invariant_holds_and_every_read_model_rebuilds(
    stack: Stack, api: httpx.AsyncClient, person: Person
) -> None:
    names = [one.name for one in HANDRAIL.read_models]
    before = re.sub(r'"updated_at":"[^"]*"', "", (await api.get(f"/sagas/{person.order}")).text)
    await rebuild(stack.database_url, "handrail_app", names, HANDRAIL.read_models)
    after = re.sub(r'"updated_at":"[^"]*"', "", (await api.get(f"/sagas/{person.order}")).text)
    assert after == before
    client = await connect(stack.temporal_address, "default", HANDRAIL.codec)
    proof = await prove.prove(
        stack.database_url, stack.address_of("bank"), stack.address_of("carrier"), client, feed=True
    )
    assert [name for name, wrong in proof.violations.items() if wrong] == []


def test_the_keys_of_the_stack_are_for_its_owner_alone(stack: Stack) -> None:
    file = Path(stack.data_dir) / "subject-keys"
    assert file.stat().st_mode & 0o777 == 0o600
