"""Prefer: wait, as clients write it."""

from __future__ import annotations

import pytest
from fastapi import Request

from handrail.http.prefer_header import seconds_to_wait


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([], None),
        (["wait=5"], 5),
        (["Wait = 5"], 5),
        (['wait="5"'], 5),
        (["wait=5; strictly"], 5),
        (["respond-async, wait=5"], 5),
        (["respond-async", "wait=5"], 5),
        (["wait=31"], 30),
        (["wait=" + "9" * 5000], 30),
        (["wait=0"], None),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=soon"], None),
        (["wait"], None),
        (["waiting=5"], None),
        (["wait=٣"], None),
        ([",,;=\x00"], None),
    ],
)
def test_what_makes_no_sense_is_passed_over(lines: list[str], seconds: int | None) -> None:
    headers = [(b"prefer", line.encode()) for line in lines]
    request = Request({"type": "http", "headers": headers})
    assert seconds_to_wait(request, 30) == seconds
