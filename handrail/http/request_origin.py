"""The origin of a request: hosts it may name (DNS rebinding), and pages it may come from (CSRF)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from handrail.http.problems import Problem, in_header

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class RequestOrigin:
    """`hosts` are the names under which the API is reached, without port; empty: any.

    `origins` are the pages of other hosts, such as `https://desk.example`, that may change state.
    """

    hosts: Collection[str] = ()
    origins: Collection[str] = ()

    def check(self, scope: Scope) -> None:
        """Raises Problem for a host that is not ours, and a change that a foreign page asks for."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.hosts and _name(host) not in self.hosts:
            said = "not a name of this API"
            raise Problem("unknown-host", f"Host: {said}", [in_header("Host", said)])
        if scope["method"] not in _SAFE:
            self._check_page(headers, host)

    def _check_page(self, headers: Headers, host: str) -> None:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is None and site in {None, "same-origin", "none"}:
            return
        if origin is not None and (origin in self.origins or urlsplit(origin).netloc == host):
            return
        said = "a page of another site must not change anything here"
        raise Problem("cross-site-request", said, [in_header("Origin", said)])


def _name(host: str) -> str:
    """Without the port, in lower case; an IPv6 address without its brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
