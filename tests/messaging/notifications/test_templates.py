from __future__ import annotations

import string
from datetime import date

import pytest

from consumers.notifications.templates import MESSAGES, TEMPLATES
from handrail.kernel import Money
from handrail.notifications.contacts import LANGUAGES, Language
from handrail.notifications.kinds import CAMPAIGN, Values
from tests.controls import eur

VALUES: Values = {
    "order": "order-3fa9c1d27b",
    "number": 12,
    "amount": eur(123_456_78),
    "total": eur(123_456_78),
    "due": date(2026, 12, 24),
}
ALL = [(kind, language) for kind in TEMPLATES for language in LANGUAGES]


def test_every_kind_of_message_has_words_in_every_language() -> None:
    assert set(TEMPLATES) == set(MESSAGES.kinds) - {CAMPAIGN.name}
    assert all(set(worded) == set(LANGUAGES) for worded in TEMPLATES.values())


@pytest.mark.parametrize(("kind", "language"), ALL)
def test_a_text_fits_into_one_short_message(kind: str, language: Language) -> None:
    said = MESSAGES.render(kind, language, VALUES)
    assert len(said.body) <= 160
    assert "{" not in said.subject + said.body
    assert "order-3fa9c1d27b" in said.body


@pytest.mark.parametrize("kind", TEMPLATES)
def test_both_languages_say_the_same(kind: str) -> None:
    english, german = (
        {name for _, name, _, _ in string.Formatter().parse(worded.body) if name}
        for worded in TEMPLATES[kind].values()
    )
    assert english == german


def test_a_currency_without_decimal_places_is_written_without_them() -> None:
    in_yen = {**VALUES, "amount": Money(833, "JPY")}
    assert MESSAGES.render("instalment-due", "en", in_yen).body.endswith(": 833 JPY.")
    assert MESSAGES.render("instalment-due", "de", in_yen).body.endswith(": 833 JPY.")


def test_money_and_days_are_written_as_people_do() -> None:
    assert MESSAGES.render("instalment-due", "en", VALUES).body.endswith(
        "is due on 24 Dec 2026: 123456.78 EUR."
    )
    assert MESSAGES.render("instalment-due", "de", VALUES).body.endswith(
        "ist am 24.12.2026 fällig: 123456,78 EUR."
    )
