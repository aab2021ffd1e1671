"""The provider that carries messages to phones and mailboxes: the port, and HTTP."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote

import httpx

from handrail.activities.remote_answers import read_answer
from handrail.bounds import ANSWER_BYTES, storable
from handrail.notifications.contacts import Channel

_WAIT_UNTOLD: Final = 1.0
"""Seconds to wait when the provider says that it is too much, and not for how long."""
_LONGEST_WAIT: Final = 300.0
_SAFE: Final = "/#:"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What is handed over. `key` is the same for every try of one message."""

    key: str
    channel: Channel
    to: str
    subject: str
    body: str


@dataclass(frozen=True)
class Taken:
    """The provider has it, now or since an earlier try; `id` is the provider's own name for it."""

    id: str


@dataclass(frozen=True)
class Declined:
    """A definite no: the same message will never be carried."""

    code: str


@dataclass(frozen=True)
class Throttled:
    """Too many at once. It was not taken; nothing may be tried for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Unclear:
    """No definite answer came: it may have been taken, or not."""

    cause: str


Answer = Taken | Declined | Throttled | Unclear


class Provider(Protocol):
    """The same key with the same content is carried once, and answered as the first time."""

    async def carry(self, letter: Letter) -> Answer: ...


class HttpProvider:
    """The client brings the address and its pool of connections. An answer that takes longer than
    `seconds` is none. `headers` say to each request who we are.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        seconds: float = 5.0,
        headers: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._client = client
        self._seconds = seconds
        self._headers = headers

    async def carry(self, letter: Letter) -> Answer:
        body: dict[str, Any] = {"channel": letter.channel, "to": letter.to, "text": letter.body}
        if letter.channel == "email":
            body["subject"] = letter.subject
        key = {
            "Idempotency-Key": quote(letter.key, safe=_SAFE),
            "Accept-Encoding": "identity",  # a few bytes may become gigabytes
            **self._headers(),
        }
        try:
            async with asyncio.timeout(self._seconds):
                request = self._client.build_request(
                    "POST", "/messages", json=body, headers=key, timeout=None
                )
                answer = await self._client.send(request, stream=True, follow_redirects=False)
                try:
                    content = await _content(answer)
                finally:
                    await answer.aclose()
        except TimeoutError:
            return Unclear(f"no answer within {self._seconds:g} s")
        # A server that refuses a certificate says so late, and httpx passes that on as it is.
        except (httpx.HTTPError, ssl.SSLError) as error:
            return Unclear(type(error).__name__)
        return _read(answer, content)


async def _content(answer: httpx.Response) -> bytes:
    """Never much more than there is use for: what comes behind that is not read."""
    content = bytearray()
    async for part in answer.aiter_raw():
        content += part
        if len(content) > ANSWER_BYTES:
            break
    return bytes(content)


def _read(answer: httpx.Response, content: bytes) -> Answer:
    """Only two answers are definite. A wrong address of ours, or a key that came with another
    content, is mended by a person: it must not look as if the recipient could not be reached.
    """
    status = answer.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Throttled(_seconds(answer.headers.get("Retry-After", "")))
    try:
        if answer.is_success:
            return Taken(storable(str(read_answer(content)["id"])))
        if status == httpx.codes.PAYMENT_REQUIRED:
            return Declined(storable(str(read_answer(content)["code"])))
    except (ValueError, KeyError, TypeError):
        return Unclear(f"HTTP {status}, and the body is not understood")
    return Unclear(f"HTTP {status}")


def _seconds(text: str) -> float:
    """Retry-After in seconds; a date, or what is no number, counts as the shortest wait."""
    try:
        seconds = float(text)
    except ValueError:
        return _WAIT_UNTOLD
    return _WAIT_UNTOLD if math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST_WAIT)
