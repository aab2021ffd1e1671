"""The key ring of payloads: its file, its rotation, and what is refused at the start."""

from __future__ import annotations

import base64
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext

from handrail.settings import load
from handrail.temporal.connection import encryption_of
from handrail.temporal.non_retryable import Unreadable
from handrail.temporal.payload_encryption import ENCODING, KEY_ID, PayloadEncryption
from handrail.temporal.payload_keys import (
    BadKeyRing,
    KeyRing,
    UnknownPayloadKey,
    begin_ring,
    read_ring,
    rotate_ring,
)
from runtime.app import HANDRAIL
from tests.runtime.conftest import Spawn

CLEAR = Payload(metadata={"encoding": b"json/plain"}, data=b'"card_ok"')
NOW = timedelta(0)


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    begin_ring(path)
    return path


def of_workflow(ring: KeyRing, workflow: str = "order-1") -> PayloadEncryption:
    context = WorkflowSerializationContext(namespace="shop", workflow_id=workflow)
    return PayloadEncryption(ring, "shop").with_context(context)


def of_activity(ring: KeyRing, workflow: str) -> PayloadEncryption:
    context = ActivitySerializationContext(
        namespace="shop",
        activity_id="1",
        activity_type="HoldCredit",
        activity_task_queue="credit",
        workflow_id=workflow,
        workflow_type="Checkout",
        is_local=False,
    )
    return PayloadEncryption(ring, "shop").with_context(context)


async def sealed(ring: KeyRing, workflow: str = "order-1") -> Payload:
    [found] = await of_workflow(ring, workflow).encode([CLEAR])
    return found


async def opened(encryption: PayloadEncryption, payload: Payload) -> Payload:
    [found] = await encryption.decode([payload])
    return found


def test_the_file_is_for_its_owner_alone(ring: Path) -> None:
    assert stat.S_IMODE(ring.stat().st_mode) == 0o600
    rotate_ring(ring, NOW)
    assert stat.S_IMODE(ring.stat().st_mode) == 0o600


async def test_a_payload_comes_back_as_it_was(ring: Path) -> None:
    keys = KeyRing(ring)
    found = await sealed(keys)

    assert found.metadata["encoding"] == ENCODING
    assert b"card_ok" not in found.SerializeToString()
    assert await opened(of_workflow(keys), found) == CLEAR


async def test_no_two_payloads_have_one_nonce(ring: Path) -> None:
    keys = KeyRing(ring)
    assert (await sealed(keys)).data[:12] != (await sealed(keys)).data[:12]


async def test_the_payload_of_a_workflow_is_its_activities_too(ring: Path) -> None:
    keys = KeyRing(ring)
    assert await opened(of_activity(keys, "order-1"), await sealed(keys)) == CLEAR


async def test_a_payload_that_was_moved_to_another_workflow_is_not_read(ring: Path) -> None:
    keys = KeyRing(ring)
    moved = await sealed(keys, "order-1")
    with pytest.raises(Unreadable, match="another workflow"):
        await opened(of_workflow(keys, "order-2"), moved)
    moved.metadata["encryption-workflow-id"] = b"order-2"
    with pytest.raises(Unreadable, match="changed, or moved"):
        await opened(of_workflow(keys, "order-2"), moved)


async def test_a_payload_of_another_namespace_is_not_read(ring: Path) -> None:
    keys = KeyRing(ring)
    with pytest.raises(Unreadable, match="changed, or moved"):
        await opened(PayloadEncryption(keys, "elsewhere"), await sealed(keys))


@pytest.mark.parametrize("place", [0, 11, 12, -1])
async def test_a_payload_with_one_bit_changed_is_not_read(ring: Path, place: int) -> None:
    keys = KeyRing(ring)
    found = await sealed(keys)
    content = bytearray(found.data)
    content[place] ^= 1
    found.data = bytes(content)
    with pytest.raises(Unreadable):
        await opened(of_workflow(keys), found)


async def test_a_payload_cut_short_is_not_read(ring: Path) -> None:
    keys = KeyRing(ring)
    found = await sealed(keys)
    found.data = found.data[:5]
    with pytest.raises(Unreadable):
        await opened(of_workflow(keys), found)


async def test_the_workflows_of_a_schedule_read_what_was_encrypted_for_it(ring: Path) -> None:
    keys = KeyRing(ring)
    found = await sealed(keys, "pay-merchants")
    assert await opened(of_workflow(keys, "pay-merchants-2026-11-30T03:00:00Z"), found) == CLEAR
    with pytest.raises(Unreadable):
        await opened(of_workflow(keys, "pay-merchants-2"), found)


async def test_without_a_context_the_payload_says_whose_it_is(ring: Path) -> None:
    """As for a history that is read event by event, and for the Temporal UI."""
    keys = KeyRing(ring)
    assert await opened(PayloadEncryption(keys, "shop"), await sealed(keys)) == CLEAR


async def test_what_was_sent_in_clear_is_read_as_it_is(ring: Path) -> None:
    assert await opened(of_workflow(KeyRing(ring)), CLEAR) == CLEAR


async def test_the_newest_key_encrypts_and_all_decrypt(ring: Path) -> None:
    keys = KeyRing(ring)
    before = await sealed(keys)
    rotate_ring(ring, NOW)

    later = KeyRing(ring)
    after = await sealed(later)
    assert after.metadata[KEY_ID] != before.metadata[KEY_ID]
    for one in (before, after):
        assert await opened(of_workflow(later), one) == CLEAR


async def test_a_key_whose_time_has_not_come_decrypts_and_does_not_encrypt(ring: Path) -> None:
    [first] = read_ring(ring)
    rotate_ring(ring, timedelta(hours=1))
    now = datetime.now(UTC)

    assert (await sealed(KeyRing(ring))).metadata[KEY_ID].decode() == first.id
    tomorrow = KeyRing(ring, clock=lambda: now + timedelta(days=1))
    ahead = await sealed(tomorrow)
    assert ahead.metadata[KEY_ID].decode() == read_ring(ring)[1].id
    assert await opened(of_workflow(KeyRing(ring)), ahead) == CLEAR


async def test_an_unknown_key_has_the_file_read_again_at_once(ring: Path) -> None:
    keys = KeyRing(ring)
    rotate_ring(ring, NOW)
    newer = await sealed(KeyRing(ring))
    assert await opened(of_workflow(keys), newer) == CLEAR


async def test_a_key_that_nobody_has_is_named(ring: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    begin_ring(other)
    found = await sealed(KeyRing(other))
    with pytest.raises(UnknownPayloadKey, match=read_ring(other)[0].id):
        await opened(of_workflow(KeyRing(ring)), found)


async def test_a_file_that_is_spoilt_later_leaves_the_keys_as_they_were(ring: Path) -> None:
    keys = KeyRing(ring)
    found = await sealed(keys)
    spoil(ring, "{}")
    with pytest.raises(UnknownPayloadKey):
        keys.decrypting(b"no such key")
    assert await opened(of_workflow(keys), found) == CLEAR
    spoil(ring, None)
    with pytest.raises(UnknownPayloadKey):
        keys.decrypting(b"no such key")
    assert await opened(of_workflow(keys), found) == CLEAR


def spoil(ring: Path, content: str | None) -> None:
    if content is None:
        ring.unlink()
    else:
        ring.write_text(content)


def a_key(**changed: Any) -> dict[str, Any]:
    key = base64.b64encode(bytes(32)).decode()
    return {"id": "first", "from": "2026-01-01T00:00:00+00:00", "key": key, **changed}


BAD = {
    "no JSON": "keys",
    "no keys": json.dumps({"keys": []}),
    "another form": json.dumps([1]),
    "a short key": json.dumps({"keys": [a_key(key="c2hvcnQ=")]}),
    "no base64": json.dumps({"keys": [a_key(key="not!base64")]}),
    "no time zone": json.dumps({"keys": [a_key(**{"from": "2026-01-01T00:00:00"})]}),
    "an id of another alphabet": json.dumps({"keys": [a_key(id="ключ")]}),
    "a long id": json.dumps({"keys": [a_key(id="x" * 65)]}),
    "two of one id": json.dumps({"keys": [a_key(), a_key()]}),
    "none that encrypts": json.dumps({"keys": [a_key(**{"from": "2999-01-01T00:00:00Z"})]}),
    "too large": json.dumps({"keys": [a_key()], "more": "x" * 70_000}),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_a_wrong_file_is_refused_and_its_keys_are_not_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(BadKeyRing) as refused:
        KeyRing(path)
    for secret in ("c2hvcnQ", "not!base64", "AAAAAAAA"):
        assert secret not in str(refused.value)


def test_a_process_ends_at_its_start_with_the_name_of_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{}")
    monkeypatch.setenv("HANDRAIL_PAYLOAD_KEYS_FILE", str(path))
    settings = load(HANDRAIL.settings_type)
    with pytest.raises(SystemExit) as ended:
        encryption_of(settings)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("HANDRAIL_PAYLOAD_KEYS_FILE: ")


async def test_an_operator_writes_the_file_adds_a_key_and_lists_them(
    handrail: Spawn, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"

    async def typed(*words: str) -> tuple[int | None, str, str]:
        process = await handrail("payload-keys", *words)
        out, error = await process.communicate()
        return process.returncode, out.decode(), error.decode()

    assert (await typed("new", str(path)))[0] == 0
    code, _, error = await typed("new", str(path))
    assert (code, "is there already" in error) == (1, True)
    assert (await typed("rotate", str(path), "--after", "0"))[0] == 0
    _, out, _ = await typed("list", str(path))
    assert [line.split()[0] for line in out.splitlines()] == [one.id for one in read_ring(path)]
    for one in json.loads(path.read_text())["keys"]:
        assert one["key"] not in out
