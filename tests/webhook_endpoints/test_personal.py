"""No personal text leaves by a webhook: neither in clear nor sealed, before or after an erasure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import orjson

from handrail.eventstore.codec import Codec
from handrail.kernel import Event
from handrail.messaging.relay.routing import Routing
from handrail.personal import Personal, personal_names
from handrail.webhook_endpoints.message import WITHHELD, withheld
from handrail.webhook_endpoints.offered import OfferedEvents
from runtime.app import HANDRAIL
from tests.webhook_endpoints.conftest import World, confirmed, eventually_got
from tests.webhook_endpoints.receiver import receiving

NAME = "Grace Hopper"


@dataclass(frozen=True, kw_only=True)
class Line:
    note: Annotated[str, Personal(subject="guest")]
    guest: str
    pieces: int


@dataclass(frozen=True, kw_only=True)
class Booked(Event, context="travel"):
    guest: str
    name: Annotated[str, Personal(subject="guest")]
    others: Annotated[tuple[str, ...], Personal(subject="guest")] = ()
    lines: tuple[Line, ...] = ()


BOOKED = Booked(
    guest="g-1", name=NAME, others=(NAME, NAME), lines=(Line(note=NAME, guest="g-1", pieces=2),)
)


def offered() -> OfferedEvents:
    codec = Codec.of([Booked], tenant="merchant")
    return OfferedEvents([Booked], codec, Routing.of([Booked], None, tenant="merchant"))


def test_the_names_of_personal_fields_are_found_however_deep() -> None:
    assert personal_names(Booked) == {"name", "others", "note"}
    assert offered().personal == {"name", "others", "note"}


async def test_personal_texts_are_withheld_sealed_or_in_clear(world: World) -> None:
    sealed = await world.texts.seal(BOOKED)
    assert sealed.name != NAME
    for stored in (sealed, BOOKED):
        data = offered().codec.encode(stored).data
        shown = withheld(orjson.loads(data), offered().personal)
        assert shown == {
            "guest": "g-1",
            "name": WITHHELD,
            "others": [WITHHELD, WITHHELD],
            "lines": [{"note": WITHHELD, "guest": "g-1", "pieces": 2}],
        }


async def test_a_sealed_text_in_any_field_does_not_leave(world: World) -> None:
    """Such as a text of a person that came to stand in a field which is not marked."""
    sealed = await world.texts.seal_text(NAME, "name", "guest:g-1")
    event = replace(confirmed("1"), order=sealed)  # type: ignore[arg-type]  # what it must not be
    async with receiving() as receiver, world.dispatching():
        await world.register("m-1", receiver)
        await world.append("m-1", "order-1", event)
        await eventually_got(receiver, 1)
        await world.texts.destroy("guest:g-1", "test")
        await world.append("m-1", "order-1", event)
        await eventually_got(receiver, 2)
    assert [one["event"]["data"] for one in receiver.got] == [{"order": WITHHELD}] * 2


def test_the_shop_offers_no_event_with_a_personal_field() -> None:
    assert not HANDRAIL.offered_events.personal
