"""Every no that the business can say is heard in a test: of its rule, and of the saga it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail.kernel import Refusal
from runtime.app import HANDRAIL

TESTS = Path(__file__).parents[1]
REFUSALS = [one for one in HANDRAIL.events if issubclass(one, Refusal)]


def _heard_in(folder: Path) -> set[str]:
    said = "\n".join(path.read_text() for path in folder.rglob("test_*.py"))
    return {one.__name__ for one in REFUSALS if one.__name__ in said}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_provoked_in_the_tests_of_its_context(refusal: type[Refusal]) -> None:
    context = refusal.context

    assert refusal.__name__ in _heard_in(TESTS / "domain" / context)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_provoked_in_a_saga(refusal: type[Refusal]) -> None:
    assert refusal.__name__ in _heard_in(TESTS / "workflows")
