"""Secrets of webhooks and keys of payloads are rotated under load, without a failed request."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from handrail.processes.api import trust_of
from handrail.settings import load as settings_of
from handrail.temporal.payload_keys import read_ring, rotate_ring
from handrail.webhook_signatures import new_secret
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.api.conftest import House, _at_work
from tests.api.shop import eventually, open_shop, place
from tests.api.test_signing_in import load, many
from tests.api.test_webhooks import dispute, signed
from tests.encrypting import a_ring, encrypting, keys_of

pytestmark = pytest.mark.thorough


def write(file: Path, *secrets: str) -> None:
    """In one step, as what puts secrets into files does."""
    new = file.with_suffix(".new")
    new.write_text(",".join(secrets))
    os.replace(new, file)  # noqa: PTH105  # over the file that is there


async def test_a_webhook_secret_is_rotated_under_load_and_every_webhook_is_taken(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_secret(), new_secret()
    file = tmp_path / "bank"
    write(file, old)
    monkeypatch.setenv("HANDRAIL_BANK_WEBHOOK_SECRETS_FILE", str(file))
    signing, sent = [old], list[str]()

    async with house.api(webhooks_from=trust_of(HANDRAIL, settings_of(ShopSettings))) as hooks:

        async def tell(secret: str) -> httpx.Response:
            id_ = f"msg_{uuid4().hex}"
            body = dispute("ord-none").replace(b"payment.disputed", b"payment.captured")
            answer = await hooks.post(
                "/webhooks/bank", content=body, headers=signed(id_, body, secret)
            )
            if answer.is_success:
                sent.append(id_)
            return answer

        async with load(lambda: tell(signing[-1])) as found:
            await many(found)
            write(file, new, old)
            await many(found)
            signing.append(new)
            await many(found)
            write(file, new)
            await many(found)
        assert set(found) == {202}
        assert (await tell(old)).status_code == 401
    [(kept,)] = await house.sql(
        "SELECT count(*)::int FROM webhooks WHERE source = 'bank' AND id = ANY (%s)", sent
    )
    assert kept == len(sent) == len(found)


@pytest.fixture
async def ring(tmp_path: Path) -> Path:
    return a_ring(tmp_path)


@pytest.fixture
async def encrypted(house: House, ring: Path) -> AsyncIterator[House]:
    """With workers of its own, whose payloads are encrypted."""
    client = encrypting(house.temporal, ring)
    one = replace(house, temporal=client, queue_prefix=f"{uuid4().hex[:8]}.")
    async with _at_work(one):
        yield one


async def keys_in_history(house: House, saga: str) -> set[str]:
    return keys_of(await house.temporal.get_workflow_handle(saga).fetch_history())


async def test_the_payload_key_is_rotated_under_load_and_every_order_is_approved(
    house: House, encrypted: House, ring: Path
) -> None:
    """API and workers read the file for themselves, each in its own time."""
    orders: list[str] = []
    async with encrypted.api(temporal=encrypting(house.temporal, ring)) as api:
        shop = await open_shop(api, stock=10_000)

        async def order() -> httpx.Response:
            answer = await place(api, shop)
            assert answer.json()["decision"] == "approved", answer.text
            orders.append(answer.json()["order"])
            return answer

        async with load(order) as found:
            await many(found)
            old = read_ring(ring)[-1].id
            rotate_ring(ring, timedelta(0))
            new = read_ring(ring)[-1].id

            async def is_taken_up() -> bool | None:
                return new in await keys_in_history(encrypted, orders[-1]) or None

            await eventually(is_taken_up, "an order is encrypted under the new key")
            await many(found)
        assert set(found) == {200}
    used = await asyncio.gather(
        *(keys_in_history(encrypted, one) for one in (orders[0], orders[-1]))
    )
    assert [old in used[0], new in used[1]] == [True, True]
    assert set(itertools.chain(*used)) == {old, new}
