"""A receiver of webhooks over HTTP, as a merchant's developer writes one from the documentation."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[[dict[str, Any]], Awaitable[web.Response]]


def is_signed(secret: str, headers: Any, body: bytes) -> bool:
    """Standard Webhooks, written without anything of Handrail's."""
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = headers["webhook-id"] + "." + headers["webhook-timestamp"] + "." + body.decode()
    mine = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()
    theirs = [one.removeprefix("v1,") for one in headers["webhook-signature"].split(" ")]
    return any(hmac.compare_digest(mine, one) for one in theirs)


async def _thanks(_: dict[str, Any]) -> web.Response:
    return web.Response(status=204)


@dataclass
class Receiver:
    """What it got, in that order. `secrets` are those it believes; None: it does not look."""

    url: str = ""
    secrets: list[str] | None = None
    answer: Answer = _thanks
    got: list[dict[str, Any]] = field(default_factory=list)
    """The messages that it took: `id` is the webhook-id, `event` the body."""
    tried: list[str] = field(default_factory=list)
    """The webhook-id of each request."""
    unverifiable: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    before: Callable[[web.Request], Awaitable[web.Response]] | None = None
    """Takes requests in the place of `receive`."""

    async def serve(self, request: web.Request) -> web.Response:
        return await (self.before or self.receive)(request)

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.tried.append(request.headers["webhook-id"])
        if self.secrets is not None and not any(
            is_signed(one, request.headers, body) for one in self.secrets
        ):
            self.unverifiable += 1
            return web.Response(status=401)
        message = {
            "id": request.headers["webhook-id"],
            "type": request.headers["content-type"],
            "signatures": request.headers["webhook-signature"].split(" "),
            "event": json.loads(body),
        }
        answer = await self.answer(message)
        if answer.status < 300:
            self.got.append(message)
        return answer

    def streams(self) -> dict[str, list[int]]:
        """The versions it got of each stream, in that order."""
        found: dict[str, list[int]] = {}
        for one in self.got:
            found.setdefault(one["event"]["stream"], []).append(one["event"]["streamversion"])
        return found

    async def answers(self, status: int, **headers: str) -> None:
        """From now on."""

        async def answer(_: dict[str, Any]) -> web.Response:
            return web.Response(status=status, headers=headers)

        self.answer = answer

    async def thanks(self) -> None:
        self.answer = _thanks

    async def is_slow(self, seconds: float) -> None:
        async def answer(_: dict[str, Any]) -> web.Response:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.ended.wait()
            return web.Response(status=204)

        self.answer = answer


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/hooks"
    try:
        yield receiver
    finally:
        receiver.ended.set()
        await runner.cleanup()
