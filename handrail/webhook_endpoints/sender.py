"""Sends one webhook: signed, to an address that was checked, and every way it can end told apart.

Names are resolved here, and the connection is made to the very address that was checked: between
the two a name cannot come to lead elsewhere. TLS and `Host` go by the name. Redirects are answers
like others, proxies are not asked, and of an answer's body nothing is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Self

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult

from handrail.webhook_endpoints.addresses import AddressPolicy, BadAddress
from handrail.webhook_endpoints.message import CONTENT_TYPE
from handrail.webhook_signatures import ID, SIGNATURE, TIMESTAMP, sign

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a name, for a port. Raises OSError."""

_BODY: Final = 16 * 1024
"""Bytes of an answer that are read, so that its connection can be used again."""
_BODY_SECONDS: Final = 1.0
_DIGITS: Final = 9
"""Of a number of seconds in Retry-After."""


@dataclass(frozen=True)
class Delivered:
    status: int


@dataclass(frozen=True)
class Failed:
    """`problem` says why, in words for the tenant. `retry_after` is what the answer asks for, in
    seconds; `gone` is that nothing is wanted there any more.
    """

    problem: str
    status: int | None = None
    retry_after: float | None = None
    gone: bool = False


Outcome = Delivered | Failed


@dataclass(frozen=True)
class Signed:
    """A message to an address; `secrets` are in clear, each makes a signature."""

    url: str
    id: str
    body: bytes
    secrets: Sequence[str]


class Sender:
    """Holds the connections to all endpoints. `slots` is how many names are looked up at once."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        connect_seconds: float,
        total_seconds: float,
        slots: int = 64,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._policy = policy
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="resolve")
        self._resolve = resolve or self._looked_up
        self._timeout = ClientTimeout(total=total_seconds, connect=connect_seconds)
        self._tls = tls
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Each endpoint has a bound of its own, and all have one together: see `dispatcher.py`.
        connector = TCPConnector(
            limit=0,
            resolver=_Resolver(self._policy, self._resolve),
            use_dns_cache=False,
            socket_factory=self._socket,
            ssl=self._tls or True,
        )
        self._session = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=self._timeout,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, message: Signed) -> Outcome:
        """One try, bounded in time. Whatever goes wrong there is an outcome."""
        assert self._session is not None
        try:
            self._policy.check_url(message.url)
            async with self._session.post(
                message.url,
                data=message.body,
                headers=_headers(message, int(time.time())),
                allow_redirects=False,
            ) as response:
                outcome = _outcome(response)
                await _drain(response)
                return outcome
        except BadAddress as refused:
            return Failed(f"nothing is sent there: {refused}")
        except TimeoutError:
            return Failed("no answer in time")
        except (ClientError, OSError) as error:
            return Failed(_said(error))

    def _socket(self, address: Any) -> socket.socket:
        """The last look at the address, right before the connection. Raises BadAddress."""
        family, kind, protocol, _, where = address
        self._policy.check_address(where[0], where[1])
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    async def _looked_up(self, host: str, port: int) -> Sequence[str]:
        # In threads of its own: names that nobody answers for take none of those of others.
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(one[4][0]) for one in found))


class _Resolver(AbstractResolver):
    """Refuses a name that leads to an address which is not public, whatever else it leads to."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        found = await self._resolve(host, port)
        if not found:
            raise OSError(None, "the name leads nowhere")
        for address in found:
            self._policy.check_address(address, port)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found
        ]

    async def close(self) -> None:
        """It holds nothing."""


def _headers(message: Signed, now: int) -> dict[str, str]:
    signatures = (sign(one, message.id, now, message.body) for one in message.secrets)
    return {
        "Content-Type": CONTENT_TYPE,
        "User-Agent": "Handrail",
        "Accept-Encoding": "identity",
        ID: message.id,
        TIMESTAMP: str(now),
        SIGNATURE: " ".join(signatures),
    }


def _outcome(response: ClientResponse) -> Outcome:
    status = response.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Delivered(status)
    if status == HTTPStatus.GONE:
        return Failed("it answered 410 Gone", status, gone=True)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Failed(f"it answered {status}: redirects are not followed", status)
    return Failed(f"it answered {status}", status, _retry_after(response))


def _retry_after(response: ClientResponse) -> float | None:
    said = response.headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:_DIGITS])
    try:
        until = parsedate_to_datetime(said)
    except (TypeError, ValueError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max((until - datetime.now(UTC)).total_seconds(), 0.0)


async def _drain(response: ClientResponse) -> None:
    """Reads a short body; of any other the connection is closed. What it says is not looked at."""
    size = 0
    with contextlib.suppress(TimeoutError, ClientError, OSError):
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in response.content.iter_any():
                size += len(part)
                if size > _BODY:
                    break
            else:
                return
    response.close()


def _said(error: BaseException) -> str:
    """What is wrong, without addresses of ours."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, BadAddress):
            return f"nothing is sent there: {seen}"
        if isinstance(seen, ssl.SSLError):
            return f"no TLS with it: {seen.reason or 'it was refused'}"
        if isinstance(seen, socket.gaierror):
            return "its name is not known"
        seen = seen.__cause__ or seen.__context__
    return f"it could not be reached ({type(error).__name__})"
