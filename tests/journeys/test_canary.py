"""One person goes through everything, and is erased: no byte of them is left in any store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import httpx
import psycopg
import pytest
from psycopg import sql

from handrail.dev.postgres import DATABASE
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
from tests.tracing.collector import collecting

pytestmark = pytest.mark.journey

NAME: Final = "Ann Canary-Quill"
STREET: Final = "canary-street-7_ok"
MAIL: Final = "ann.canary@quill.example"
PHONE: Final = "+4915199887766"
CARD: Final = "canary-4111_ok"
CANARIES: Final = (NAME, STREET, MAIL, PHONE, CARD)
LONG: Final = 120.0  # seconds
TRACES: Final = "traces"
"""The folder of what the processes export."""


@dataclass(frozen=True)
class Person:
    shop: Shop
    order: str
    saga_of_return: str


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
    )
    with collecting(folder / TRACES) as collector, pytest.MonkeyPatch.context() as patched:
        patched.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
        async with Stack(
            HANDRAIL,
            settings,
            notifiers=1,
            consumers=True,
            broker=is_installed(),
            temporal_ui=False,
        ) as stack:
            yield stack


@pytest.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.api_url, timeout=60) as client:
        yield client


async def once(api: httpx.AsyncClient, path: str, **wanted: Any) -> Any:
    """The body at this address, once it says what is waited for."""
    async with asyncio.timeout(LONG):
        while True:
            found = await api.get(path)
            body = found.json()
            if found.status_code == 200 and all(body[one] == it for one, it in wanted.items()):
                return body
            await asyncio.sleep(0.1)


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
async def person(stack: Stack, api: httpx.AsyncClient) -> Person:
    """Has ordered, was reached, paid, sent something back; all of it is over."""
    shop = await open_shop(api)
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
    paid = await api.post(f"/orders/{order}/plan/settlement", json={"card": CARD})
    assert paid.status_code == 202, paid.text
    await once(api, f"/sagas/{paid.json()['saga']}", status="completed")
    sent_back = await api.post(
        f"/orders/{order}/returns",
        json={"lines": [{"sku": shop.sku, "quantity": 1}], "reason": f"{NAME} did not like it"},
        headers={"Idempotency-Key": a_key()},
    )
    assert sent_back.is_success, sent_back.text
    saga = sent_back.json()["saga"]
    await once(api, f"/sagas/{saga}", status="completed")
    await _is_written_to(api, shop.customer)
    await lake_exporter.catch_up(stack.settings)
    return Person(shop, order, saga)


async def _is_written_to(api: httpx.AsyncClient, customer: str) -> None:
    async with asyncio.timeout(LONG):
        while True:
            found = (await api.get(f"/customers/{customer}/messages")).json()["items"]
            if any(one["state"] == "sent" for one in found):
                return
            await asyncio.sleep(0.1)


def hits(texts: Iterator[tuple[str, bytes]]) -> list[tuple[str, str]]:
    """Where which canary was found."""
    return [(where, one) for where, text in texts for one in CANARIES if one.encode() in text]


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
    assert await everywhere(stack, api) == []


def test_other_companies_were_asked_in_clear(stack: Stack, person: Person) -> None:
    told = {one.name: one.read_bytes() for one in stack.data_dir.glob("*.ledger")}
    assert CARD.encode() in told["bank.ledger"]
    assert STREET.encode() in told["carrier.ledger"]
    assert MAIL.encode() in told["provider.ledger"]


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
