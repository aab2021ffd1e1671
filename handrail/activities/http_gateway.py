"""Asking another company over HTTP: one request, and every way it can end told apart."""

from __future__ import annotations

import string
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import orjson
from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from temporalio.exceptions import ApplicationError

from handrail.activities.company_access import CompanyAccess
from handrail.activities.remote_answers import read_answer
from handrail.bounds import ANSWER_BYTES, OUTSIDE, storable
from handrail.replies import Accepted, Declined, Reply

_IN_THE_CLEAR: Final = CompanyAccess()
"""Or over TLS with the authorities of the machine, as the address says; without a token."""
_KEY_CHARACTERS: Final = string.punctuation.replace("%", "")


class OutsideError(Exception):
    """No definite answer came from another company."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(_message(type(self), detail))


class OutsideUnavailable(OutsideError):
    """The other company gave no definite answer, so it may have done what it was asked.

    Nothing to do while it lasts minutes: it is asked again with the same key, which is safe.
    If it lasts longer, call the company, and look at its address in the settings.
    """


class OutsideAnswerUnreadable(OutsideError):
    """The other company answered in words that are not agreed on, so what it did is unknown.

    It is asked again with the same key. If that does not help, compare its answer with the port in
    `gateway.py`: a proxy may be answering in its place, or it changed its interface.
    """


class OutsideKeyReused(ApplicationError):
    """The other company knows this idempotency key with another content: asking again is useless.

    What it did under the key when it first came is unknown here: look at the company's ledger.
    """

    def __init__(self, detail: str = "") -> None:
        kind = type(self)
        super().__init__(_message(kind, detail), type=kind.__name__, non_retryable=True)


def _message(kind: type[Exception], detail: str) -> str:
    return " ".join(f"{kind.__doc__} {detail}".split())


def _storable(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


_Text = Annotated[
    str,
    StringConstraints(min_length=OUTSIDE.shortest, max_length=OUTSIDE.longest),
    BeforeValidator(_storable),
]
"""What does not fit is cut, with a mark: a clear answer stays one, however it is worded."""


class _Answer(BaseModel):
    # A validation error travels to the workflow's history, where nothing personal may go.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class AcceptedBody(_Answer):
    status: Literal["approved"]
    reference: _Text


class DeclinedBody(_Answer):
    status: Literal["declined"]
    code: _Text


def wire_key(key: str) -> str:
    """A header holds visible ASCII only; a key that is such text already stays as it is."""
    return quote(key, safe=_KEY_CHARACTERS)


def open_session() -> ClientSession:
    """The connections to all other companies."""
    # Bounded for each, so that a silent one takes none of the others'.
    connector = TCPConnector(limit=0, limit_per_host=100)
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        trust_env=True,
        auto_decompress=False,  # a few bytes may become gigabytes
    )


class HttpGateway:
    """One other company, at its address.

    No retries here: Temporal repeats the whole activity with the same key, and a second loop inside
    would multiply the attempts and hide them from whoever looks at the saga. An answer that is not
    here whole `read_seconds` after the connection is none, however much of it has come.
    """

    def __init__(
        self,
        session: ClientSession,
        url: str,
        *,
        connect_seconds: float = 2.0,
        read_seconds: float = 10.0,
        access: CompanyAccess = _IN_THE_CLEAR,
    ) -> None:
        self._access = access
        self._session = session
        self._url = url.rstrip("/")
        self._timeout = ClientTimeout(
            total=connect_seconds + read_seconds, connect=connect_seconds, sock_read=read_seconds
        )

    async def request(self, path: str, *, key: str, body: Mapping[str, object]) -> Reply:
        """What the company replied to a request under this idempotency key.

        Raises OutsideUnavailable and OutsideAnswerUnreadable where that is unknown, and
        OutsideKeyReused.
        """
        try:
            async with self._session.post(
                self._url + path,
                data=orjson.dumps(body),
                headers={
                    "Idempotency-Key": wire_key(key),
                    "Content-Type": "application/json",
                    "Accept-Encoding": "identity",
                    **self._access.headers(),
                },
                ssl=self._access.tls or True,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                status, content = response.status, await _read(response)
        except (ClientError, TimeoutError) as error:
            raise OutsideUnavailable(f"[{path} {key}: {type(error).__name__}]") from error
        return _understood(status, content, f"[{path} {key}: HTTP {status}]")


async def _read(response: ClientResponse) -> bytes:
    """Never much more than there is use for: what comes behind that is not read."""
    content = bytearray()
    async for part in response.content.iter_any():
        content += part
        if len(content) > ANSWER_BYTES:
            response.close()
            break
    return bytes(content)


def _understood(status: int, content: bytes, where: str) -> Reply:
    try:
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            accepted = AcceptedBody.model_validate(read_answer(content))
            return Accepted(reference=accepted.reference)
        if status == HTTPStatus.PAYMENT_REQUIRED:
            declined = DeclinedBody.model_validate(read_answer(content))
            return Declined(code=declined.code)
    except ValueError as error:
        raise OutsideAnswerUnreadable(where) from error
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise OutsideKeyReused(where)
    busy = {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in busy:
        raise OutsideUnavailable(where)
    raise OutsideAnswerUnreadable(where)
