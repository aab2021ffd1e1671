"""The lines by which a developer verifies a message, as the page has them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from handrail.webhook_endpoints.message import Content
from tests.runtime.conftest import ROOT
from tests.webhook_endpoints.conftest import World, confirmed, eventually_got
from tests.webhook_endpoints.receiver import receiving

PAGE = (ROOT / "docs" / "webhook-endpoints.md").read_text()


def of_the_page() -> Callable[[str, Mapping[str, str], bytes], bool]:
    [lines] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(lines.strip().splitlines()) <= 10
    there: dict[str, Any] = {}
    exec(lines, there)  # what the page says is what is tested
    found: Callable[[str, Mapping[str, str], bytes], bool] = there["is_genuine"]
    return found


async def test_the_lines_of_the_page_verify_a_delivery_and_refuse_a_changed_one(
    world: World,
) -> None:
    is_genuine = of_the_page()
    said: list[tuple[bool, ...]] = []
    async with receiving() as receiver, world.dispatching():
        made = await world.register("m-1", receiver)
        take = receiver.receive

        async def verify(request: web.Request) -> web.Response:
            body, headers = await request.read(), dict(request.headers)
            old = {**headers, "webhook-timestamp": "1614265330"}
            other = "whsec_" + "A" * 43 + "="
            said.append(
                (
                    is_genuine(made.secret, headers, body),
                    is_genuine(made.secret, headers, body + b" "),
                    is_genuine(made.secret, old, body),
                    is_genuine(other, headers, body),
                )
            )
            return await take(request)

        receiver.before = verify
        await world.append("m-1", "order-1", confirmed("1"))
        await eventually_got(receiver, 1)
    assert said == [(True, False, False, False)]


def test_the_message_of_the_page_has_the_members_of_a_real_one() -> None:
    members = re.search(r'\{"specversion".*?\}\}', PAGE, re.DOTALL)
    assert members is not None
    shown = json.loads(members[0])
    made = Content(
        stream="order-7",
        version=2,
        key="ordering.OrderConfirmed.v1",
        at=datetime.fromisoformat("2026-05-01T09:30:00+00:00"),
        word="merchant",
        tenant="m-1",
        data={"order": "7"},
    )
    assert json.loads(made.body()) == shown
