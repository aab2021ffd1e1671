"""A read model whose fold changed has a new version, or the same rows as before, and says so."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from handrail.projections.projection_folds import lines_of, mistakes
from runtime.app import HANDRAIL
from tests.projections.fold_lines import COMMAND, FILE, lines

[ONE, *_] = HANDRAIL.projections


def _line(**changed: object) -> str:
    return lines_of([replace(ONE, **changed)], HANDRAIL.codec)  # type: ignore[arg-type]  # its fields


def test_no_fold_of_a_read_model_changed_without_a_new_version() -> None:
    assert mistakes(FILE.read_text(), lines(), COMMAND) == []


def test_a_changed_fold_at_the_same_version_is_named_with_what_to_do() -> None:
    [said] = mistakes(_line(), _line(evolve=lambda row, _: row), "`x`")
    assert said.startswith(f"the fold of {ONE.name} changed: raise its version")
    assert said.endswith("write the digest with `x`")


@pytest.mark.parametrize(("by", "says"), [(1, "write that with"), (-1, "is never lowered")])
def test_another_version_is_written_and_never_lowered(by: int, says: str) -> None:
    [said] = mistakes(_line(), _line(version=ONE.version + by), "`x`")
    assert says in said


def test_what_another_python_made_is_compared_by_versions_alone() -> None:
    other = _line(evolve=lambda row, _: row).replace("made-by ", "made-by ff")
    assert mistakes(_line(), other, "`x`") == []
    assert mistakes(_line(), other.replace(f"{ONE.name} ", "another "), "`x`") != []


@pytest.mark.thorough
def test_every_process_writes_the_same_lines() -> None:
    written = "from tests.projections.fold_lines import lines; print(lines(), end='')"
    other = subprocess.run(
        [sys.executable, "-c", written], capture_output=True, check=True, text=True
    )
    assert other.stdout == lines()
