from __future__ import annotations

import pytest

from handrail.cli.saga_tables import money


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(12_50, "EUR", "12.50 EUR"), (833, "JPY", "833 JPY"), (1_500, "KWD", "1.500 KWD")],
)
def test_operators_see_amounts_as_people_write_them(amount: int, currency: str, shown: str) -> None:
    assert money({"amount": amount, "currency": currency}) == shown


def test_where_no_money_is_at_stake_nothing_is_shown() -> None:
    assert money(None) == ""
