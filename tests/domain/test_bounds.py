"""What is bounded: at both ends of each bound, and just beyond."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from domain.bounds import (
    CARD_NUMBER,
    INSTALMENT_NUMBER,
    LATEST_DUE,
    REFERENCE,
    wrong_due_date,
)
from handrail import bounds
from handrail.bounds import CUT, REPLACEMENT, storable

HALF = "\ud83d"


@pytest.mark.parametrize("value", [1, 24])
def test_a_number_within_its_bounds_fits(value: int) -> None:
    assert INSTALMENT_NUMBER.wrong_with(value) is None


@pytest.mark.parametrize("value", [0, 25, -1, 2**63, 2**64, 10**400, True, 1.0, "1", None])
def test_a_number_beyond_its_bounds_does_not(value: object) -> None:
    assert INSTALMENT_NUMBER.wrong_with(value)


@pytest.mark.parametrize("value", ["", "x" * 501, "a\nb", "a\0b", HALF, 7, None])
def test_a_reason_has_few_words_and_no_control_characters(value: object) -> None:
    assert bounds.REASON.wrong_with("why not") is None
    assert bounds.REASON.wrong_with(value)


@pytest.mark.parametrize("value", ["4111111111111111", "0" * 12, "9" * 19])
def test_a_reference_is_never_the_number_of_a_card(value: str) -> None:
    assert REFERENCE.wrong_with(value) == CARD_NUMBER.instead
    assert REFERENCE.wrong_with("card_ok") is None


@pytest.mark.parametrize("value", [date(1, 1, 1), date(1999, 12, 31), date(9999, 12, 31)])
def test_a_day_is_of_this_century(value: date) -> None:
    assert bounds.DAY.wrong_with(date(2026, 3, 2)) is None
    assert bounds.DAY.wrong_with(value)


@pytest.mark.parametrize(
    "value",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=14))),
        datetime(2026, 3, 2),  # noqa: DTZ001  # without its zone, which is the mistake
    ],
)
def test_a_moment_is_of_this_century_and_has_its_zone(value: datetime) -> None:
    assert bounds.MOMENT.wrong_with(datetime(2026, 3, 2, tzinfo=UTC)) is None
    assert bounds.MOMENT.wrong_with(value)


def test_an_instalment_is_due_from_today_until_three_years_from_now() -> None:
    today = date(2026, 3, 2)
    assert wrong_due_date(today, today) is None
    assert wrong_due_date(today + LATEST_DUE, today) is None
    assert "in the past" in (wrong_due_date(date(2026, 3, 1), today) or "")
    assert "1095 days" in (wrong_due_date(date(9999, 12, 31), today) or "")


def test_what_cannot_be_stored_is_replaced_and_what_is_too_long_is_cut_with_a_mark() -> None:
    assert storable("no funds") == "no funds"
    assert storable(f"no\0fu{HALF}nds") == f"no{REPLACEMENT}fu{REPLACEMENT}nds"
    cut = storable("x" * 3_000_000)
    assert len(cut) == bounds.OUTSIDE.longest
    assert cut == "x" * (bounds.OUTSIDE.longest - len(CUT)) + CUT
