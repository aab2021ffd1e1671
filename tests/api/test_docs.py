"""`/docs`: everything it needs comes from the API itself, and the browser may not ask elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest


@dataclass
class Page(HTMLParser):
    """The addresses a page names, and what a policy without 'unsafe-inline' would not let run."""

    text: str
    addresses: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [
            address
            for name in ("src", "href", "action", "data", "poster", "srcset")
            if (address := named.get(name))
        ]
        self.inline += [name for name in named if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in named):
            self.inline.append(tag)


@pytest.fixture(scope="module")
async def answer(api: httpx.AsyncClient) -> httpx.Response:
    return await api.get("/docs")


def test_it_is_a_page_with_swagger_ui(answer: httpx.Response) -> None:
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    found = {urlsplit(address).path for address in Page(answer.text).addresses}
    assert found == {
        "docs/favicon.png",
        "docs/start.js",
        "docs/swagger-ui-bundle.js",
        "docs/swagger-ui.css",
        "openapi.json",
    }


async def test_each_address_on_it_is_served_by_the_api(
    api: httpx.AsyncClient, answer: httpx.Response
) -> None:
    for address in Page(answer.text).addresses:
        whole = urljoin(str(answer.url), address)
        assert urlsplit(whole).netloc == urlsplit(str(answer.url)).netloc
        assert (await api.get(whole)).status_code == 200, address


async def test_it_begins_with_the_document_of_this_api_and_has_no_other_host_check_it(
    api: httpx.AsyncClient,
) -> None:
    script = (await api.get("/docs/start.js")).text
    assert 'url: "openapi.json"' in script
    assert "validatorUrl: null" in script
    assert "//" not in script.replace("// Swagger UI would", "")


def test_its_policy_permits_no_other_host_and_nothing_inline(answer: httpx.Response) -> None:
    policy = dict(
        directive.split(" ", 1)
        for directive in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("img-src") == "'self' data:"
    assert set(policy.values()) <= {"'self'", "'none'"}
    assert Page(answer.text).inline == []


async def test_its_style_sheet_loads_nothing_but_data(api: httpx.AsyncClient) -> None:
    sheet = (await api.get("/docs/swagger-ui.css")).text
    loaded = [part.lstrip("\"'") for part in sheet.split("url(")[1:]]
    assert loaded
    assert all(part.startswith("data:") for part in loaded)
    assert "@import" not in sheet


async def test_browsers_keep_its_files(api: httpx.AsyncClient) -> None:
    kept = (await api.get("/docs/swagger-ui-bundle.js")).headers["Cache-Control"]
    assert kept == "public, max-age=31536000, immutable"


async def test_the_other_files_of_the_package_are_not_served(api: httpx.AsyncClient) -> None:
    answer = await api.get("/docs/redoc.standalone.js")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"


async def test_the_address_of_redoc_leads_to_it(api: httpx.AsyncClient) -> None:
    answer = await api.get("/redoc", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/docs")
