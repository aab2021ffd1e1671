"""What was just now, by a clock that was put back, is refused with what to do."""

from __future__ import annotations

from datetime import datetime

import httpx

from tests.api.conftest import House
from tests.api.shop import Shop, place, problem, settled

SET = "UPDATE moments SET at = at + {by}, until = until + {by}"


async def test_a_read_as_of_just_now_says_to_ask_without_while_the_clock_is_behind(
    house: House, api: httpx.AsyncClient, shop: Shop
) -> None:
    order = (await place(api, shop)).json()["order"]
    await settled(api, order)
    await house.sql("SELECT keep_moment()")
    await house.sql(SET.format(by="interval '1 hour'"))
    try:
        [(now,)] = await house.sql("SELECT clock_timestamp()")
        moment: datetime = now
        answers = [
            await api.get(path, params={"as_of": moment.isoformat()})
            for path in (f"/orders/{order}", "/orders", f"/sagas/{order}")
        ]
        of_now = await api.get(f"/orders/{order}")
    finally:
        await house.sql(SET.format(by="-interval '1 hour'"))
    for answer in answers:
        found = problem(answer, 409, "moment-said-twice")
        assert "ask without as_of for what is there now" in found["detail"]
    assert of_now.status_code == 200
