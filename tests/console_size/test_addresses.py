"""No page of the console escapes `make console-size`."""

from __future__ import annotations

import pytest

from tests.console_size import asking
from tests.console_size.asking import Figure


def test_every_page_has_an_address() -> None:
    assert len(asking.pages()) >= len(asking.ADDRESSES)


def test_a_page_without_an_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {route: to for route, to in asking.ADDRESSES.items() if route != "/console/audit"}
    monkeypatch.setattr(asking, "ADDRESSES", known)
    with pytest.raises(RuntimeError, match="/console/audit"):
        asking.pages()


@pytest.mark.parametrize(
    ("small", "large", "verdict"),
    [
        (20, 25, "ok"),
        (20, 40, "grows"),
        (120, 160, "slow"),
        (1, 4, "ok"),
    ],
)
def test_a_page_that_grows_or_is_slow_is_named(small: float, large: float, verdict: str) -> None:
    assert Figure("/console", small, large).verdict == verdict
