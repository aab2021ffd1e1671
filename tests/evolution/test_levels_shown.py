"""`handrail contracts level EVENT`: what holds an event back, by whatever name it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from handrail.cli.levels import show, shown
from handrail.eventstore.write_levels import Announced, Standing
from handrail.settings import Settings
from tests.evolution.new_release import NEW

OLDER = Announced("host:1", "worker", {}, "1.3.9", datetime.now(UTC))


@pytest.mark.parametrize(
    ("event", "written"),
    [
        ("KeyGiven", ["KeyHandedOver v1"]),
        ("KeyHandedOver", ["KeyHandedOver v1"]),
        ("GuestMoved", ["GuestMoved v1"]),
        ("PhoneChanged", ["GuestMoved v1"]),
        ("RebateGranted", ["DiscountGranted v1"]),
        ("HelpAsked", []),
        ("GuestLeft", []),
    ],
)
def test_an_event_is_shown_with_the_one_it_is_still_written_as(
    event: str, written: list[str]
) -> None:
    found = shown(NEW.codec, Standing([], [OLDER]), event)
    assert [str(one.written) for one in found] == written
    assert [one.held_back_by for one in found] == [[OLDER]] * len(found)


async def test_a_name_that_no_event_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert await show(NEW.codec, Settings(), "RoomBoked", wide=False, json=False) == 2
    assert capsys.readouterr().err == "there is no event RoomBoked\n"
