"""Events go to the endpoints of their tenant: signed, in order, at least once, whatever happens."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from aiohttp import web

from handrail.webhook_endpoints.retry_policy import RetryPolicy
from tests.projections.world import until
from tests.webhook_endpoints.conftest import (
    COMPLETED,
    CONFIRMED,
    World,
    completed,
    confirmed,
    eventually_got,
)
from tests.webhook_endpoints.receiver import receiving

PARKS = RetryPolicy(first=0.01, longest=0.02, parks_after=0.05, disables_after=60, rests=0.02)


async def test_an_event_comes_signed_as_the_public_form_of_the_event(world: World) -> None:
    async with receiving() as receiver, world.dispatching():
        await world.register("m-1", receiver)
        await world.append("m-1", "order-1", confirmed("1"))
        await eventually_got(receiver, 1)
    [got] = receiver.got
    assert receiver.unverifiable == 0
    assert got["type"] == "application/cloudevents+json"
    time = got["event"].pop("time")
    assert time.endswith("Z")
    assert got["event"] == {
        "specversion": "1.0",
        "id": "order-1/1",
        "source": "/handrail/ordering",
        "type": CONFIRMED,
        "subject": "order-1",
        "datacontenttype": "application/json",
        "stream": "order-1",
        "streamversion": 1,
        "schema": 1,
        "merchant": "m-1",
        "data": {"order": "1"},
    }


async def test_only_what_was_asked_for_and_is_its_own_comes(world: World) -> None:
    await world.append("m-1", "order-0", completed("0"))  # before it was registered
    async with receiving() as mine, receiving() as theirs:
        await world.register("m-1", mine, COMPLETED)
        await world.register("m-2", theirs)
        await world.append("m-1", "order-1", confirmed("1"), completed("1"))
        await world.append("m-2", "order-2", confirmed("2"))
        await world.append("", "order-3", confirmed("3"))
        await world.fan_out()
        async with world.dispatching():
            await until(world.is_settled)
    assert mine.streams() == {"order-1": [2]}
    assert theirs.streams() == {"order-2": [1]}


async def test_each_stream_comes_in_its_order_while_tries_fail(world: World) -> None:
    seen: set[str] = set()

    async def every_other(message: dict[str, Any]) -> web.Response:
        """The first try of each message fails."""
        new = message["id"] not in seen
        seen.add(message["id"])
        return web.Response(status=503 if new else 200)

    async with receiving() as receiver, world.dispatching():
        receiver.answer = every_other
        await world.register("m-1", receiver)
        for number in range(6):
            for stream in "abc":
                event = completed if number % 2 else confirmed
                await world.append("m-1", f"order-{stream}", event(stream))
        await eventually_got(receiver, 18)
    assert receiver.streams() == {f"order-{one}": [1, 2, 3, 4, 5, 6] for one in "abc"}


async def test_an_endpoint_that_was_down_gets_all_of_it_in_order(world: World) -> None:
    async with receiving() as receiver, world.dispatching():
        made = await world.register("m-1", receiver)
        await receiver.answers(500)
        for number in range(5):
            await world.append("m-1", f"order-{number}", confirmed("1"), completed("1"))

        async def failing() -> bool:
            count = await world.value("SELECT failures FROM webhook_endpoints")
            return bool(count > 5)

        await until(failing)
        assert not receiver.got
        await receiver.thanks()
        await eventually_got(receiver, 10)
        await until(world.is_settled)
    assert receiver.streams() == {f"order-{number}": [1, 2] for number in range(5)}
    assert await world.states(made.endpoint) == ["delivered"] * 10
    row = "SELECT failures, failing_since, last_problem FROM webhook_endpoints"
    assert await world.sql(row) == [(0, None, None)]


async def test_a_slow_endpoint_holds_up_no_other(world: World) -> None:
    async with receiving() as slow, receiving() as fast, world.dispatching(slots=6, seconds=30):
        await slow.is_slow(60)
        await world.register("m-slow", slow)
        await world.register("m-fast", fast)
        await world.append_to("m-slow", {f"order-s{n}": [confirmed("1")] for n in range(40)})
        await until(lambda: _has_tried(slow.tried, 4))
        await world.append_to("m-fast", {f"order-f{n}": [confirmed("1")] for n in range(40)})
        await eventually_got(fast, 40, seconds=10)
        assert len(slow.tried) == 4, "as many as an endpoint may have at once"
        assert not slow.got


async def _has_tried(tried: list[str], count: int) -> bool:
    return len(tried) >= count


async def test_while_a_secret_is_rotated_every_message_can_be_verified(world: World) -> None:
    async with receiving() as receiver, world.dispatching():
        made = await world.register("m-1", receiver)
        done = asyncio.Event()

        async def appending() -> int:
            count = 0
            while not done.is_set():
                await world.append("m-1", f"order-{count}", confirmed("1"))
                count += 1
            return count

        flow = asyncio.create_task(appending())
        await eventually_got(receiver, 5)
        new = await world.rotate(made.endpoint, timedelta(hours=1))
        assert receiver.secrets == [made.secret]  # it knows the old secret alone

        async def twice_signed() -> bool:
            return len(receiver.got[-1]["signatures"]) == 2

        await until(twice_signed)
        receiver.secrets = [new]  # and from here on the new one alone
        before = len(receiver.got)
        await eventually_got(receiver, before + 5)
        done.set()
        count = await flow
        await eventually_got(receiver, count)
    assert receiver.unverifiable == 0
    assert len(receiver.got) == count


async def test_an_old_secret_signs_no_longer_than_its_overlap(world: World) -> None:
    async with receiving() as receiver, world.dispatching():
        made = await world.register("m-1", receiver)
        new = await world.rotate(made.endpoint, timedelta(0))
        await world.append("m-1", "order-1", confirmed("1"))
        receiver.secrets = [new]
        await eventually_got(receiver, 1)
    assert len(receiver.got[0]["signatures"]) == 1
    assert receiver.unverifiable == 0


async def test_what_fails_for_too_long_is_parked_and_its_stream_waits(world: World) -> None:
    async with receiving() as receiver, world.dispatching(policy=PARKS):
        made = await world.register("m-1", receiver)

        async def not_the_first(message: dict[str, Any]) -> web.Response:
            first = message["event"]["streamversion"] == 1
            return web.Response(status=400 if first else 200)

        receiver.answer = not_the_first
        await world.append("m-1", "order-1", confirmed("1"))

        async def is_parked() -> bool:
            return await world.states(made.endpoint) == ["parked"]

        await until(is_parked)
        await world.append("m-1", "order-1", completed("1"))
        await world.append("m-1", "order-2", completed("2"), completed("2"))

        async def other_stream_is_tried() -> bool:
            return (await world.states(made.endpoint))[2:] == ["parked", "waiting"]

        await until(other_stream_is_tried)
        assert await world.states(made.endpoint) == ["parked", "waiting", "parked", "waiting"]
        assert not receiver.got
        [(problem, status)] = await world.sql(
            "SELECT problem, status FROM webhook_deliveries ORDER BY position LIMIT 1"
        )
        assert (problem, status) == ("it answered 400", 400)

        await receiver.thanks()
        assert await world.send_again(made.endpoint) == 2
        await eventually_got(receiver, 4)
    assert receiver.streams() == {"order-1": [1, 2], "order-2": [1, 2]}


async def test_what_waits_behind_a_discarded_delivery_goes_on(world: World) -> None:
    async with receiving() as receiver, world.dispatching(policy=PARKS):
        made = await world.register("m-1", receiver)
        await receiver.answers(400)
        await world.append("m-1", "order-1", confirmed("1"), completed("1"))

        async def is_parked() -> bool:
            return await world.states(made.endpoint) == ["parked", "waiting"]

        await until(is_parked)
        await receiver.thanks()
        id_ = await world.value("SELECT id FROM webhook_deliveries WHERE state = 'parked'")
        assert await world.discard(made.endpoint, id_)
        await eventually_got(receiver, 1)
    assert receiver.streams() == {"order-1": [2]}


async def test_one_that_was_delivered_is_sent_again_under_the_same_id(world: World) -> None:
    async with receiving() as receiver, world.dispatching():
        made = await world.register("m-1", receiver)
        await world.append("m-1", "order-1", confirmed("1"))
        await eventually_got(receiver, 1)
        await until(world.is_settled)
        assert await world.send_again(made.endpoint, receiver.got[0]["id"]) == 1
        await eventually_got(receiver, 2)
    first, second = receiver.got
    assert first["id"] == second["id"]
    assert first["event"] == second["event"]


async def test_410_disables_and_what_comes_meanwhile_is_kept(world: World) -> None:
    async with receiving() as receiver, world.dispatching():
        made = await world.register("m-1", receiver)
        await receiver.answers(410)
        await world.append("m-1", "order-1", confirmed("1"))
        await until(lambda: _is(world, "disabled"))
        row = "SELECT state_by, state_because FROM webhook_endpoints"
        assert await world.sql(row) == [("service:dispatcher", "it answered 410 Gone")]
        await world.append("m-1", "order-1", completed("1"))
        await world.append("m-1", "order-2", confirmed("2"))
        await until(lambda: _waiting(world, 3))
        await receiver.thanks()
        assert len(receiver.tried) == 1
        await world.enable(made.endpoint)
        await eventually_got(receiver, 3)
    assert receiver.streams() == {"order-1": [1, 2], "order-2": [1]}
    found = await world.sql(
        "SELECT type, data ->> 'principal' FROM events WHERE stream LIKE 'audit-%%'"
        " ORDER BY position"
    )
    assert found == [
        ("OperatorActRequested", "service:dispatcher"),
        ("OperatorActAnswered", "service:dispatcher"),
    ]


async def _is(world: World, state: str) -> bool:
    return bool(await world.value("SELECT state FROM webhook_endpoints") == state)


async def _waiting(world: World, count: int) -> bool:
    found = "SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting'"
    return bool(await world.value(found) == count)


async def test_an_endpoint_that_fails_for_long_is_disabled_with_the_reason(world: World) -> None:
    impatient = RetryPolicy(
        first=0.01, longest=0.02, parks_after=60, disables_after=0.2, rests=0.02
    )
    async with receiving() as receiver, world.dispatching(policy=impatient):
        await world.register("m-1", receiver)
        await receiver.answers(500)
        await world.append("m-1", "order-1", confirmed("1"))
        await until(lambda: _is(world, "disabled"))
    because = await world.value("SELECT state_because FROM webhook_endpoints")
    assert because == "every try failed for 0 hours: it answered 500"


async def test_an_endpoint_may_ask_for_a_rest_within_a_bound(world: World) -> None:
    patient = RetryPolicy(first=0.01, longest=5, parks_after=60, disables_after=60, rests=0.02)
    async with receiving() as receiver, world.dispatching(policy=patient):
        await world.register("m-1", receiver)
        await receiver.answers(429, **{"Retry-After": "3600"})
        await world.append("m-1", "order-1", confirmed("1"))
        await world.append("m-1", "order-2", confirmed("2"))

        async def rests() -> bool:
            return bool(await world.value("SELECT paused_until > now() FROM webhook_endpoints"))

        await until(rests)
        left = "SELECT paused_until - clock_timestamp() FROM webhook_endpoints"
        assert timedelta(0) < await world.value(left) <= timedelta(seconds=5)
        tries = len(receiver.tried)
        await world.append("m-1", "order-3", confirmed("3"))
        await until(lambda: _waiting(world, 3))
        assert len(receiver.tried) == tries, "nothing is sent while it rests"
        await receiver.thanks()
        await eventually_got(receiver, 3)


async def test_a_redirect_is_a_failure_and_is_not_followed(world: World) -> None:
    async with receiving() as elsewhere, receiving() as receiver, world.dispatching():
        await world.register("m-1", receiver)
        await receiver.answers(307, Location=elsewhere.url)
        await world.append("m-1", "order-1", confirmed("1"))
        await until(lambda: _has_tried(receiver.tried, 2))
        problem = await world.value("SELECT problem FROM webhook_deliveries")
    assert problem == "it answered 307: redirects are not followed"
    assert not elsewhere.tried


async def test_a_body_without_an_end_does_not_keep_a_delivery_open(world: World) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 4096)

    app = web.Application()
    app.router.add_post("/hooks", endless)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with world.dispatching():
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
            made = await world.register("m-1", url)
            await world.append("m-1", "order-1", confirmed("1"))
            await until(lambda: _delivered(world))
        assert await world.states(made.endpoint) == ["delivered"]
    finally:
        await runner.cleanup()


async def _delivered(world: World) -> bool:
    found = "SELECT count(*) = 1 FROM webhook_deliveries WHERE state = 'delivered'"
    return bool(await world.value(found))
