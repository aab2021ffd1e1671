"""A client for servers of this machine, which are spoken to without encryption."""

from __future__ import annotations

import ssl
from typing import Any, Final

import httpx
from aiohttp import ClientSession

from handrail.activities.http_gateway import HttpGateway

_NO_CERTIFICATES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def a_client(base_url: str = "", **options: Any) -> httpx.AsyncClient:
    """To read the certificates of the machine takes longer than most tests, for every client."""
    return httpx.AsyncClient(base_url=base_url, verify=_NO_CERTIFICATES, **options)


def company(session: ClientSession, client: httpx.AsyncClient, **seconds: Any) -> HttpGateway:
    """The company as a step asks it; the client reads its ledger."""
    return HttpGateway(session, str(client.base_url), **seconds)
