"""Sealed texts stay sealed where an operator sees and edits a body."""

from __future__ import annotations

import orjson
import pytest

from handrail.messaging.broker.edited_body import as_sent, as_shown, unsealed
from handrail.personal import holds_sealed

SEALED = f"\x1esealed:{'a' * 32}:card:AbC-_9;"
BODY = orjson.dumps({"order": "o-1", "card": SEALED, "lines": [{"notes": [SEALED]}]})


def test_what_is_shown_is_opened_by_no_answer_and_comes_back_as_it_was() -> None:
    shown = as_shown(BODY.decode())
    assert not holds_sealed(shown)
    assert orjson.loads(as_sent(shown)) == orjson.loads(BODY)


def test_a_mark_in_any_other_text_stays() -> None:
    assert as_sent('{"note": "␞sealed: by a notary"}') == '{"note": "␞sealed: by a notary"}'


@pytest.mark.parametrize(
    ("edited", "field"),
    [
        ({"order": "o-2", "card": SEALED}, ""),
        ({"order": "o-2"}, ""),
        ({"card": ""}, ""),
        ({"card": "4111"}, "card"),
        ({"lines": [{"notes": [SEALED, "Ann"]}]}, "notes"),
        ({"moved": {"card": "4111"}}, "card"),
    ],
)
def test_a_personal_field_in_clear_is_named(edited: object, field: str) -> None:
    assert unsealed(BODY, orjson.dumps(edited)) == field


def test_a_body_that_is_no_json_has_no_personal_field() -> None:
    assert unsealed(b"\xff", b'{"card": "4111"}') == ""
