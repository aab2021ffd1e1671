"""A clear answer of another company stays one, however it is worded."""

from __future__ import annotations

import json

import pytest

from handrail.activities.remote_answers import read_answer
from handrail.bounds import ANSWER_BYTES


def declined(code: str) -> bytes:
    return json.dumps({"status": "declined", "code": code}).encode()


@pytest.mark.parametrize(
    "code", ["no_funds", "no\0funds", "\ud83d", "\U0001f600", "\\u0000", 'a"b']
)
def test_what_is_short_is_read_as_it_is(code: str) -> None:
    assert read_answer(declined(code)) == {"status": "declined", "code": code}


@pytest.mark.parametrize("letter", ["x", "ü", "\0", "\\", '"', "\U0001f600"])
@pytest.mark.parametrize("shift", range(13))
def test_of_what_is_long_the_beginning_is_read_wherever_it_is_cut(letter: str, shift: int) -> None:
    found = read_answer(declined("a" * shift + letter * ANSWER_BYTES))
    assert found["status"] == "declined"
    assert found["code"].startswith("a" * shift + letter)


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b'{"status": ', b"[" * 100_000, b"[" * 50_000, b"1" * 5_000]
)
def test_what_is_no_answer_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_answer(content)
