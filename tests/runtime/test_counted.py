from __future__ import annotations

import pytest

from handrail.app import App, Context
from handrail.cli.check import check
from handrail.counted import counted
from handrail.settings import Settings


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 sagas"), (1, "1 saga"), (2, "2 sagas"), (-1, "-1 sagas")]
)
def test_the_noun_is_in_the_plural_but_for_one(number: int, said: str) -> None:
    assert counted(number, "saga") == said


def test_what_there_is_in_an_app_is_counted_in_words() -> None:
    one = App(contexts=(Context(name="trips"),))
    two = App(contexts=(Context(name="trips"), Context(name="flights")))
    assert check(one, Settings()).startswith("1 context, 0 sagas, 0 workflows around sagas, ")
    assert check(two, Settings()).startswith("2 contexts, 0 sagas, ")
