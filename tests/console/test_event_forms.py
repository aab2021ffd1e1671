"""The catalogue's deprecated forms: what each became, which queues read it, what may be written."""

from __future__ import annotations

from handrail.console.event_forms import FormsOfEvents, forms_of_events
from handrail.eventstore.pool import open_pool
from handrail.evolution.forms import Form
from handrail.messaging.contracts.form_readers import note
from tests.evolution.new_release import INN, NEW
from tests.projections.world import ROLE


async def forms(database: str, *read: tuple[Form, str]) -> FormsOfEvents:
    async with open_pool(database, role=ROLE) as pool, pool.connection() as connection:
        if read:
            await note(connection, read)
        return await forms_of_events(connection, NEW.codec.lineages, INN.events)


async def test_a_deprecated_form_says_what_it_became_and_who_still_reads_it(
    database: str,
) -> None:
    found = await forms(database, (Form("RoomBooked", 1), "desk/rooms"))
    [booked] = found.deprecated["RoomBooked"]
    assert (booked.form, booked.becomes, booked.lowered) == ("RoomBooked v1", "RoomBooked v2", True)
    assert list(booked.queues) == ["desk/rooms"]
    assert booked.last_read is not None
    assert found.looked_at is not None
    [moved] = found.deprecated["PhoneChanged"]
    assert moved.becomes == "AddressChanged v1, PhoneChanged v1"
    assert (list(moved.queues), moved.last_read) == ([], None)


async def test_a_form_without_a_way_down_says_so(database: str) -> None:
    found = await forms(database, (Form("BellRung"), "desk/bells"))
    [rung] = found.deprecated["HelpAsked"]
    assert (rung.form, rung.lowered, list(rung.queues)) == ("BellRung v1", False, ["desk/bells"])


async def test_an_event_of_one_form_is_not_deprecated_and_levels_show_what_is_written(
    database: str,
) -> None:
    found = await forms(database)
    assert "GuestLeft" not in found.deprecated
    [booked] = [one for one in found.levels if one.newest == "RoomBooked v2"]
    assert (booked.written, booked.since, list(booked.held_back_by)) == ("RoomBooked v1", None, [])
    assert found.looked_at is None
