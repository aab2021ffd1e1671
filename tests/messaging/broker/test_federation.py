"""What happens between virtual hosts when the way from one to the other is closed for a while."""

from __future__ import annotations

import time

import pytest

from domain.payments.events import RefundPaid
from handrail.messaging.broker import federation_status
from tests.messaging.broker.house import House
from tests.projections.world import until


async def test_when_bindings_reached_the_upstream_events_come(house: House) -> None:
    assert await federation_status.complete(house.management, house.declared, 10) == []

    await house.publish([(RefundPaid, "now")])

    assert await house.take("finance", "ledger", until="now") == ["now"]


async def test_a_binding_that_has_not_reached_the_upstream_is_told_by_name(house: House) -> None:
    await house.ask("DELETE", "bindings/finance/e/money/q/ledger/payments.RefundPaid.%2A")

    async def told() -> bool:
        return (await house.finance()).missing == ("payments.RefundPaid.*",)

    await until(told)
    await house.apply()
    assert await federation_status.complete(house.management, house.declared, 10) == []


async def test_what_is_published_while_the_link_is_down_comes_in_order_once_it_is_up(
    house: House,
) -> None:
    await _down_for(house, 0.5, 40)


@pytest.mark.thorough
async def test_a_link_that_is_cut_while_much_is_on_its_way_loses_nothing(house: House) -> None:
    sent = [f"{number}" for number in range(1000)]
    await house.close_the_way()
    await house.publish([(RefundPaid, id_) for id_ in sent])
    await house.apply()

    cut = 0
    while cut < 3:
        if (await house.finance()).link == "running":
            await house.ask("DELETE", "connections/username/finance-federation")
            cut += 1

    got = await house.take("finance", "ledger", until=sent[-1])
    assert [*dict.fromkeys(got)] == sent


@pytest.mark.journey
async def test_a_minute_without_the_link_loses_nothing(house: House) -> None:
    await _down_for(house, 60, 3000)


async def _down_for(house: House, seconds: float, events: int) -> None:
    before = [f"before-{number}" for number in range(10)]
    during = [f"during-{number}" for number in range(events)]
    after = [f"after-{number}" for number in range(10)]
    await house.publish([(RefundPaid, id_) for id_ in before])
    await house.close_the_way()
    since = time.monotonic()
    bursts = [during[at : at + 20] for at in range(0, events, 20)]
    for number, burst in enumerate(bursts, 1):
        await house.publish([(RefundPaid, id_) for id_ in burst])
        while time.monotonic() - since < seconds * number / len(bursts):
            assert (await house.finance()).link != "running"
    assert (await house.finance()).link != "running"

    await house.apply()  # what was broken was a right and a password
    await house.publish([(RefundPaid, id_) for id_ in after])

    got = await house.take("finance", "ledger", until=after[-1])
    assert [*dict.fromkeys(got)] == [*before, *during, *after]
    assert await federation_status.complete(house.management, house.declared, 20) == []
