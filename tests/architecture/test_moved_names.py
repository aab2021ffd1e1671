"""Public names of the library that have moved are still found at their earlier addresses."""

from __future__ import annotations

from importlib import import_module

import pytest

MOVED = (
    ("WronglyDeclared", "handrail.app", "handrail.wrongly_declared"),
    ("Context", "handrail.app", "handrail.catalogue"),
    ("one_of", "handrail.projections.paging", "handrail.paging"),
    ("require", "handrail.settings", "handrail.refused_settings"),
    ("slice_of", "handrail.projections.paging", "handrail.paging"),
    ("Resources", "handrail.processes.worker", "handrail.activities.resources"),
    ("Verification", "handrail.verify.prove", "handrail.verify.verification"),
    ("OF_EVERY_APP", "handrail.verify.prove", "handrail.verify.verification"),
)


@pytest.mark.parametrize(("name", "earlier", "now"), MOVED)
def test_a_name_that_moved_is_the_same_at_both_addresses(name: str, earlier: str, now: str) -> None:
    assert getattr(import_module(earlier), name) is getattr(import_module(now), name)
