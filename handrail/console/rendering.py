"""Rendering of pages: Jinja2 templates, the headers of an HTML answer, and fragments for htmx."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from handrail.access.principal import Principal
from handrail.console.routes.static import static
from handrail.console.state import state_of
from handrail.counted import counted
from handrail.currencies import written
from handrail.http.dependencies import Services
from handrail.kernel import Money

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    # With `no-referrer` a browser would send `Origin: null` with the forms of its own pages.
    "Referrer-Policy": "same-origin",
    "Vary": "HX-Request, Cookie",
}
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


PAGES: Final[Sequence[tuple[str, str]]] = (
    ("/console", "Now"),
    ("/console/sagas", "Sagas"),
    ("/console/interventions", "Many"),
    ("/console/events", "Events"),
    ("/console/audit", "Audit"),
    ("/console/read-models", "Read models"),
    ("/console/consumers", "Consumers"),
    ("/console/broker", "Broker"),
    ("/console/catalogue", "Catalogue"),
)
"""The navigation."""


async def page(
    request: Request, services: Services, template: str, *, code: int = 200, **context: Any
) -> Response:
    """The page or, where htmx asks, the part of it that changes. Personal texts are opened.

    `context` has what the template shows: dataclasses, mappings, lists and texts.
    """
    opened = await services.personal.open(context)
    principal: Principal | None = request.scope.get("handrail.principal")
    around = {
        "address": _address(request),
        "business": state_of(request).declared.title,
        "development": services.development,
        "now": datetime.now(UTC),
        "principal": principal,
    }
    found = _environment().get_template(template)
    content = {**around, **opened}
    if request.headers.get("hx-request") == "true" and "live" in found.blocks:
        html = "".join(found.blocks["live"](found.new_context(content)))
    else:
        html = found.render(content)
    return Response(html, code, dict(HEADERS), media_type="text/html")


def render_alone(template: str, **context: Any) -> str:
    """A page outside of the application's services."""
    return _environment().get_template(template).render(context)


def _address(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("handrail.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(pages=PAGES, static=static)
    made.filters.update(
        ago=ago, counted=counted, long=long, money=money, moment=moment, part=part, words=in_words
    )
    made.globals["m"] = made.get_template("macros.html").module
    return made


def part(text: object) -> str:
    """A text as one segment of an address."""
    return quote(str(text), safe="")


def moment(at: datetime | str | None) -> str:
    """A time in UTC, to the second."""
    if at is None or at == "":
        return "never"
    found = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def ago(at: datetime | str | None) -> str:
    """How long ago a time was."""
    if at is None or at == "":
        return "never"
    found = datetime.fromisoformat(at) if isinstance(at, str) else at
    return long((datetime.now(UTC) - found).total_seconds())


def long(seconds: float) -> str:
    """A length of time, in its two largest units."""
    left = max(0.0, float(seconds))
    if left < _MINUTE:
        return f"{left:.1f} s"
    whole = int(left)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def money(amount: Money | int, currency: str = "") -> str:
    """An amount in minor units, as people write it."""
    if isinstance(amount, Money):
        return written(amount.amount, amount.currency)
    return written(amount, currency)


def in_words(name: str) -> str:
    """A class name or a column as words: `HoldCredit` is `Hold credit`."""
    spaced = "".join(f" {one.lower()}" if one.isupper() else one for one in name)
    said = spaced.replace("_", " ").strip()
    return said[:1].upper() + said[1:]
