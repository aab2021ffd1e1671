"""Another company over HTTP: holds things under keys, closes keys for good, and confirms.

It keeps the protocol of docs/own-business.md; `handrail/simulators/reservations.py` simulates one.
"""

from __future__ import annotations

from handrail.activities.http_gateway import HttpGateway, wire_key
from handrail.replies import Reply


class HttpCompany:
    """What `RemoteSteps` asks; `about` is what a thing is held for.

    Raises what `HttpGateway.request` raises.
    """

    def __init__(self, http: HttpGateway) -> None:
        self._http = http

    async def hold(self, about: str, what: str, key: str) -> Reply:
        return await self._http.request("/holds", key=key, body={"about": about, "what": what})

    async def confirm(self, about: str, key: str) -> Reply:
        return await self._http.request("/confirmations", key=key, body={"about": about})

    async def close(self, *, key: str, subject: str, closes: str) -> Reply:
        body = {"about": subject, "closes": wire_key(closes)}
        return await self._http.request("/cancellations", key=key, body=body)
