"""Chromium, as tests of the console drive it; what it loads and complains about is written down."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

AXE: Final = (files("axe_playwright_python") / "axe.min.js").read_text()
"""axe-core, from the package that drives it elsewhere."""
CHROMIUM: Final = "chromium"
WAITS: Final = 20_000
"""Milliseconds until something that is waited for has to be there."""


@dataclass
class Seen:
    """A page, the requests that it made, and what the browser complained about."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def on_request(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    async def violations(self) -> list[str]:
        """What axe-core finds wrong."""
        await self.page.evaluate(AXE)
        found = await self.page.evaluate("() => axe.run(document, {preload: false})")
        return [
            f"{one['id']}: {node['html'][:160]}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    async def is_too_wide(self) -> bool:
        found = await self.page.evaluate(
            "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        return bool(found)


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """The system's Chromium: a machine without it fails these tests."""
    path = shutil.which(CHROMIUM)
    assert path is not None, f"{CHROMIUM} is not installed: it is what these tests look with"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def a_page(browser: Browser, address: str, **how: Any) -> AsyncIterator[Seen]:
    """With cookies of its own; addresses are those below `address`."""
    context = await browser.new_context(base_url=address, **how)
    context.set_default_timeout(WAITS)
    try:
        page = await context.new_page()
        seen = Seen(page)
        page.on("request", seen.on_request)
        page.on("console", seen.on_console)
        yield seen
    finally:
        await context.close()
