import pytest

from domain.errors import CurrencyMismatch
from domain.kernel import Money
from tests.controls import eur, usd


def test_money_reads_as_people_write_it() -> None:
    assert [str(eur(cents)) for cents in (123456, 5, 0, -5, -123)] == [
        "1234.56 EUR",
        "0.05 EUR",
        "0.00 EUR",
        "-0.05 EUR",
        "-1.23 EUR",
    ]


def test_two_currencies_do_not_mix() -> None:
    for mix in (
        Money.__add__,
        Money.__sub__,
        Money.__lt__,
        Money.__le__,
        Money.__gt__,
        Money.__ge__,
    ):
        with pytest.raises(CurrencyMismatch, match=r"1\.00 USD is not in EUR"):
            mix(eur(1_00), usd(1_00))
