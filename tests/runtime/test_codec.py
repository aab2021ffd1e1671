"""`handrail codec`: who may have payloads decrypted, from where, how many, and what is logged."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

from handrail.dev.supervisor import free_port
from handrail.settings import load
from handrail.temporal.codec_server import MAX_BODY, MAX_PAYLOADS, CodecServer
from handrail.temporal.payload_encryption import PayloadEncryption
from handrail.temporal.payload_keys import KeyRing, begin_ring, rotate_ring
from runtime.app import HANDRAIL
from tests.runtime.conftest import Spawn
from tests.unencrypted import a_client

UI = "https://temporal.example"
_NOW = timedelta(0)
TOKENS = {"ada": "t0ken-of-ada", "ui": "t0ken-of-ui"}
ADA = {"Authorization": f"Bearer {TOKENS['ada']}"}
CLEAR = Payload(metadata={"encoding": b"json/plain"}, data=b'"card_ok"')


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    begin_ring(path)
    return path


@pytest.fixture
def codec(ring: Path) -> httpx.AsyncClient:
    server = CodecServer(KeyRing(ring), "default", lambda: TOKENS, (UI,))
    return httpx.AsyncClient(
        base_url="http://codec", transport=httpx.ASGITransport(server.application())
    )


async def sealed(ring: Path, workflow: str = "order-1", namespace: str = "default") -> Payload:
    context = WorkflowSerializationContext(namespace=namespace, workflow_id=workflow)
    [found] = (
        await PayloadEncryption(KeyRing(ring), namespace).with_context(context).encode([CLEAR])
    )
    return found


def as_json(*payloads: Payload) -> dict[str, Any]:
    return {
        "payloads": [
            {
                "metadata": {
                    name: base64.b64encode(value).decode() for name, value in one.metadata.items()
                },
                "data": base64.b64encode(one.data).decode(),
            }
            for one in payloads
        ]
    }


async def test_a_caller_gets_payloads_as_they_were(codec: httpx.AsyncClient, ring: Path) -> None:
    answer = await codec.post("/decode", json=as_json(await sealed(ring), CLEAR), headers=ADA)
    assert answer.json() == as_json(CLEAR, CLEAR)


async def test_the_namespace_of_the_ui_counts(codec: httpx.AsyncClient, ring: Path) -> None:
    found = as_json(await sealed(ring, namespace="shop"))
    here = await codec.post("/decode", json=found, headers=ADA)
    there = await codec.post("/decode", json=found, headers={**ADA, "X-Namespace": "shop"})
    assert (here.status_code, there.status_code) == (422, 200)


async def test_each_decoding_is_a_line_with_the_caller_and_the_workflows_and_no_content(
    codec: httpx.AsyncClient, ring: Path
) -> None:
    sent = [await sealed(ring, "order-2"), await sealed(ring, "order-1"), await sealed(ring)]
    with structlog.testing.capture_logs() as lines:
        await codec.post("/decode", json=as_json(*sent), headers={**ADA, "Origin": UI})
    assert lines == [
        {
            "event": "payloads decoded",
            "log_level": "info",
            "caller": "ada",
            "namespace": "default",
            "workflows": ["order-1", "order-2"],
            "of": 2,
            "payloads": 3,
            "origin": UI,
        }
    ]


WRONG: Mapping[str, Mapping[str, str]] = {
    "no token": {},
    "another token": {"Authorization": "Bearer guess"},
    "an empty token": {"Authorization": "Bearer "},
    "another scheme": {"Authorization": f"Basic {TOKENS['ada']}"},
    "a caller's name": {"Authorization": "Bearer ada"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG.keys())
async def test_without_a_right_token_nothing_is_decoded(
    codec: httpx.AsyncClient, ring: Path, headers: dict[str, str]
) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await codec.post("/decode", json=as_json(await sealed(ring)), headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "payloads" not in answer.json()
    assert [one["event"] for one in lines] == ["payloads not decoded"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(UI, UI), ("https://evil.example", None), ("null", None), (f"{UI}.evil.example", None)],
)
async def test_only_the_ui_may_read_the_answer_in_a_browser(
    codec: httpx.AsyncClient, ring: Path, origin: str, allowed: str | None
) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    before = await codec.options("/decode", headers=asked)
    answer = await codec.post(
        "/decode", json=as_json(await sealed(ring)), headers={**ADA, "Origin": origin}
    )
    for one in (before, answer):
        assert one.headers.get("Access-Control-Allow-Origin") == allowed
        assert "Access-Control-Allow-Credentials" not in one.headers


BODIES: Mapping[str, tuple[bytes, int]] = {
    "no JSON": (b"payloads", 400),
    "another form": (b"[]", 400),
    "no list": (b'{"payloads": 1}', 400),
    "no payload": (b'{"payloads": [1]}', 400),
    "no base64": (b'{"payloads": [{"metadata": {"encoding": "\xc3\xa4"}}]}', 400),
    "metadata of another form": (b'{"payloads": [{"metadata": {"encoding": 1}}]}', 400),
    "too many": (b'{"payloads": [' + b",".join([b"{}"] * (MAX_PAYLOADS + 1)) + b"]}", 413),
    "too large": (b" " * (MAX_BODY + 1), 413),
    "deep": (b"[" * 100_000, 400),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES.keys())
async def test_a_wrong_body_is_refused(codec: httpx.AsyncClient, body: bytes, status: int) -> None:
    answer = await codec.post("/decode", content=body, headers=ADA)
    assert answer.status_code == status


async def test_a_payload_that_was_changed_is_refused(codec: httpx.AsyncClient, ring: Path) -> None:
    found = await sealed(ring)
    found.metadata["encryption-workflow-id"] = b"order-2"
    answer = await codec.post("/decode", json=as_json(found), headers=ADA)
    assert answer.status_code == 422


async def test_there_is_nothing_to_encode_with(codec: httpx.AsyncClient) -> None:
    assert (await codec.post("/encode", json=as_json(CLEAR), headers=ADA)).status_code == 404


async def test_the_process_serves_with_tokens_from_a_file_and_follows_both_files(
    handrail: Spawn, tmp_path: Path, ring: Path, appears: Any
) -> None:
    port, tokens, is_ready = free_port(), tmp_path / "tokens", tmp_path / "ready"
    tokens.write_text("ada=first\n")
    await handrail(
        "codec",
        codec_port=str(port),
        codec_tokens_file=str(tokens),
        payload_keys_file=str(ring),
        ready_file=str(is_ready),
    )
    await appears(is_ready)
    async with a_client(f"http://127.0.0.1:{port}") as client:

        async def asks(token: str) -> int:
            body = as_json(await sealed(ring))
            said = {"Authorization": f"Bearer {token}"}
            return (await client.post("/decode", json=body, headers=said)).status_code

        assert (await asks("first"), await asks("second")) == (200, 401)
        tokens.write_text("ada=second\n")
        rotate_ring(ring, _NOW)
        assert (await asks("first"), await asks("second")) == (401, 200)


@pytest.mark.parametrize("origins", ["temporal.example", "https://temporal.example/", "*"])
def test_a_wrong_origin_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], origins: str
) -> None:
    monkeypatch.setenv("HANDRAIL_CODEC_ORIGINS", origins)
    with pytest.raises(SystemExit):
        load(HANDRAIL.settings_type)
    assert "HANDRAIL_CODEC_ORIGINS: " in capsys.readouterr().err
