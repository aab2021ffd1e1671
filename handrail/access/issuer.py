"""Reads the issuer's keys: from the address of its discovery document, or from a file."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from handrail.access.loopback import is_loopback

_SECONDS: Final = 5.0
_MOST_BYTES: Final = 256 * 1024
_DISCOVERY: Final = "/.well-known/openid-configuration"


class WrongIssuer(ValueError):
    """What answered is not the issuer, or names an address that may not be asked."""


class IssuerAddress:
    """Keys at an address: `jwks_url`, or what the issuer's discovery document names.

    No proxy, password file or redirect of the environment is followed.
    """

    def __init__(self, issuer: str, jwks_url: str | None, ca_file: Path | None) -> None:
        self._issuer, self._jwks_url = issuer, jwks_url
        self._ca_file = ca_file

    async def load(self) -> bytes:
        """The JWKS document. Raises an exception within a few seconds."""
        verify = ssl.create_default_context(cafile=self._ca_file)
        async with (
            asyncio.timeout(_SECONDS),
            httpx.AsyncClient(
                verify=verify, trust_env=False, follow_redirects=False, timeout=_SECONDS
            ) as http,
        ):
            return await _get(http, self._jwks_url or await self._discovered(http))

    async def _discovered(self, http: httpx.AsyncClient) -> str:
        said = json.loads(await _get(http, self._issuer.rstrip("/") + _DISCOVERY))
        if not isinstance(said, dict) or said.get("issuer") != self._issuer:
            raise WrongIssuer("the discovery document is of another issuer")
        address = said.get("jwks_uri")
        if not isinstance(address, str) or not _may_be_asked(address):
            raise WrongIssuer("the discovery document names no https address of keys")
        return address


_ASKED: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}


def _may_be_asked(address: str) -> bool:
    parts = urlsplit(address)
    if parts.username or parts.password or not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))


async def _get(http: httpx.AsyncClient, address: str) -> bytes:
    content = bytearray()
    async with http.stream("GET", address, headers=_ASKED) as answer:
        if answer.status_code != httpx.codes.OK:
            raise WrongIssuer(f"{address} answers {answer.status_code}")
        async for part in answer.aiter_raw():
            content += part
            if len(content) > _MOST_BYTES:
                raise WrongIssuer(f"{address} answers more than {_MOST_BYTES} bytes")
    return bytes(content)


class IssuerFile:
    """Keys in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> bytes:
        """The JWKS document. Raises OSError."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            return file.read(_MOST_BYTES + 1)[:_MOST_BYTES]
