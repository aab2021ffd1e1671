"""Decrypts payloads for the Temporal UI and the `temporal` command: its remote codec, `/decode`.

Each caller has a token of its own, and each decoding is a line of the log, which is written before
the answer. There is no `/encode`: nothing in clear becomes a payload by way of a browser.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload

from handrail.temporal.non_retryable import Unreadable
from handrail.temporal.payload_encryption import WORKFLOW_ID, PayloadEncryption
from handrail.temporal.payload_keys import KeyRing, UnknownPayloadKey

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of a request: the payloads of a page of a history, in base64."""
MAX_PAYLOADS: Final = 1_000
_SHOWN: Final = 20
"""How many workflows a line of the log names."""
_LONGEST_NAMESPACE: Final = 1_000
_METHODS: Final = "POST"
_HEADERS: Final = "authorization, content-type, x-namespace"
_log = structlog.get_logger("handrail.codec")


class Refused(Exception):
    """What the caller reads, with its status."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


@dataclass(frozen=True)
class CodecServer:
    """`tokens` are asked for at each request: of each caller by its name. `origins` are the pages
    that a browser lets read the answers.
    """

    keys: KeyRing
    namespace: str
    tokens: Callable[[], Mapping[str, str]]
    origins: Sequence[str] = ()

    def application(self) -> Starlette:
        return Starlette(routes=[Route("/decode", self.decode, methods=["POST", "OPTIONS"])])

    async def decode(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return self._said(request, 204)
        try:
            return await self._decoded(request)
        except Refused as refused:
            _log.warning("payloads not decoded", status=refused.status, why=str(refused))
            said = {"title": str(refused), "status": refused.status}
            return self._said(request, refused.status, said, "application/problem+json")

    async def _decoded(self, request: Request) -> Response:
        caller = self._caller(request.headers.get("authorization", ""))
        payloads = payloads_of(await _body(request))
        namespace = request.headers.get("x-namespace", self.namespace)[:_LONGEST_NAMESPACE]
        encryption = PayloadEncryption(self.keys, namespace)
        try:
            opened = [encryption.opened(one) for one in payloads]
        except (UnknownPayloadKey, Unreadable) as error:
            raise Refused(422, str(error)) from None
        workflows = sorted(
            {one.metadata.get(WORKFLOW_ID, b"").decode(errors="replace") for one in payloads}
        )
        _log.info(
            "payloads decoded",
            caller=caller,
            namespace=namespace,
            workflows=workflows[:_SHOWN],
            of=len(workflows),
            payloads=len(payloads),
            origin=request.headers.get("origin", ""),
        )
        return self._said(request, 200, {"payloads": [_as_json(one) for one in opened]})

    def _caller(self, authorization: str) -> str:
        scheme, _, token = authorization.partition(" ")
        found = ""
        for name, known in self.tokens().items():
            # All of them are compared: the time that it takes does not say which one was close.
            if hmac.compare_digest(known.encode(), token.strip().encode()):
                found = name
        if scheme.lower() != "bearer" or not found:
            raise Refused(401, "a bearer token of this codec is needed")
        return found

    def _said(
        self, request: Request, status: int, body: Any = None, media_type: str = "application/json"
    ) -> Response:
        headers = {
            "Cache-Control": "no-store",
            "Vary": "Origin",
            "X-Content-Type-Options": "nosniff",
        }
        origin = request.headers.get("origin", "")
        if origin in self.origins:
            headers |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": _HEADERS,
            }
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        content = b"" if body is None else orjson.dumps(body)
        return Response(content, status, headers, media_type if content else None)


async def _body(request: Request) -> bytes:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MAX_BODY:
            raise Refused(413, f"the body is larger than {MAX_BODY} bytes")
    return bytes(content)


def payloads_of(body: bytes) -> Sequence[Payload]:
    """Raises Refused where it is not `{"payloads": [{"metadata": {…}, "data": "…"}]}`."""
    try:
        listed = orjson.loads(body)["payloads"]
        if len(listed) > MAX_PAYLOADS:
            raise Refused(413, f"there are more than {MAX_PAYLOADS} payloads")
        return [_payload(one) for one in listed]
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise Refused(400, 'the body must look like {"payloads": […]}, in base64') from None


def _payload(one: Mapping[str, Any]) -> Payload:
    metadata = {name: base64.b64decode(value) for name, value in one["metadata"].items()}
    return Payload(metadata=metadata, data=base64.b64decode(one.get("data") or ""))


def _as_json(payload: Payload) -> Mapping[str, Any]:
    return {
        "metadata": {
            name: base64.b64encode(value).decode() for name, value in payload.metadata.items()
        },
        "data": base64.b64encode(payload.data).decode(),
    }
