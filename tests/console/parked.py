"""What tests of the console look at, and how they read a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser

import httpx

from tests.api.shop import Shop, eventually


@dataclass(frozen=True)
class Parked:
    saga: str
    shop: Shop


@dataclass
class Form:
    """A form of a page: where it goes, what is filled in, and whether its button is disabled."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    button: str = ""
    disabled: bool = False


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._in_button = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(said["action"], said.get("method", "get")))
        elif tag == "input" and "name" in said and self.forms:
            self.forms[-1].fields[said["name"]] = said.get("value", "")
        elif tag == "button" and self.forms:
            self._in_button = True
            self.forms[-1].disabled = "disabled" in said

    def handle_data(self, data: str) -> None:
        if self._in_button:
            self.forms[-1].button += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self._in_button = False


def forms_of(html: str) -> list[Form]:
    """Those that change something."""
    parser = _Forms()
    parser.feed(html)
    return [one for one in parser.forms if one.method == "post"]


def form(html: str, button: str) -> Form:
    [found] = [one for one in forms_of(html) if one.button.strip() == button]
    return found


def text_of(html: str) -> str:
    """What a reader sees, with single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


async def submit(
    api: httpx.AsyncClient, one: Form, headers: Mapping[str, str] | None = None, **filled: str
) -> httpx.Response:
    return await sent(api, one, filled, headers)


async def sent(
    api: httpx.AsyncClient,
    one: Form,
    filled: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """A form whose fields have other names than a parameter may."""
    return await api.post(one.action, data={**one.fields, **filled}, headers=headers)


async def shown(api: httpx.AsyncClient, path: str) -> str:
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


async def eventually_shows(api: httpx.AsyncClient, path: str, what: str) -> str:
    """The text of a page, once it has these words."""

    async def look() -> str | None:
        said = text_of(await shown(api, path))
        return said if what in said else None

    return await eventually(look, what)


async def lines_until(api: httpx.AsyncClient, path: str, wanted: str) -> list[str]:
    """The lines of an event stream, up to the one that is wanted."""
    found = []
    async with api.stream("GET", path) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            found.append(line)
            if line == wanted:
                break
    return found
