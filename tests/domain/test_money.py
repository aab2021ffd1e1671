import pytest

from handrail.errors import CurrencyMismatch
from handrail.kernel import Money
from tests.controls import eur, usd


def test_money_reads_as_people_write_it() -> None:
    assert [str(eur(cents)) for cents in (123456, 5, 0, -5, -123)] == [
        "1234.56 EUR",
        "0.05 EUR",
        "0.00 EUR",
        "-0.05 EUR",
        "-1.23 EUR",
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (833, "JPY", "833 JPY"),
        (-5, "JPY", "-5 JPY"),
        (0, "KRW", "0 KRW"),
        (1_234_567, "KWD", "1234.567 KWD"),
        (5, "BHD", "0.005 BHD"),
        (-1, "TND", "-0.001 TND"),
        (12_345, "CLF", "1.2345 CLF"),
        (10**17, "EUR", "1000000000000000.00 EUR"),
        (10**17, "JPY", "100000000000000000 JPY"),
    ],
)
def test_a_currency_has_as_many_decimal_places_as_iso_4217_gives_it(
    amount: int, currency: str, written: str
) -> None:
    assert str(Money(amount, currency)) == written


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
