"""Sagas of shapes that the shop does not have go through the harness whole.

`make test` runs a few failures of each shape; `make matrix` runs every failure at every step, its
variants and placements taking turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import pytest

from handrail.testing.books import Books
from handrail.testing.environment import Environment
from handrail.testing.saga_matrix import MatrixCase, in_turn, matrix
from handrail.testing.side_by_side import side_by_side
from handrail.testing.trial import undisturbed
from tests.workflows.strangers.business import CASES

LARGE: Final = "crates"  # of its 24 steps there would be a thousand pairs
QUICK: Final = frozenset(
    {
        "two_answers-is_declined-AskForWeather-local",
        "two_answers-is_terminated_while_it_waits-AskForWeather-local",
        "two_answers-is_cancelled_while_it_waits-AskForWeather-queues",
        "two_answers-is_lost_once_it_was_declined-requester-AskForWeather-local",
        "answers_beside-is_declined-AskForWeather-local",
        "answers_beside-is_terminated_while_it_waits-AskForPermit-local",
        "answers_beside-is_lost_once_it_was_approved-person-AskForPermit-local",
        "pivot_only-is_refused-Depart-queues",
        "pivot_only-are_terminated_at_it-3-Depart-local",
        "crates-always_loses_its_answer-LoadCrate22-local",
        "crates-two_undos_wait_side_by_side-LoadCrate24-local",
        "nothing_to_undo-is_cancelled_at_it-CheckMap-local",
        "nothing_to_undo-its_undo_never_works-PackTent-local",
        "later_only-two_wait_side_by_side-SendWord-local",
        "later_only-is_skipped-WriteReport-queues",
        "policies-is_unknown_and_taken_back-PackRope-local",
        "policies-fails_until_its_deadline-PackTent-local",
        "policies-breaks_a_rule_and_is_tried_again-PackRope-local",
    }
)

_kept: dict[str, asyncio.Task[Books]] = {}


def selected() -> Iterator[MatrixCase]:
    for shape, case in CASES.items():
        cases = list(matrix(shape, case, pairs=shape != LARGE))
        turns = {one.id: one for one in in_turn(cases)}
        yield from (one for one in cases if one.id in turns or one.id in QUICK)


def parametrized() -> list[Any]:
    return [
        pytest.param(one, marks=() if one.id in QUICK else (pytest.mark.matrix,), id=one.id)
        for one in selected()
    ]


def test_what_is_quick_is_there() -> None:
    assert {one.id for one in selected()} >= QUICK


def test_each_case_has_an_id_of_its_own() -> None:
    ids = [one.id for one in selected()]
    assert len(ids) == len(set(ids))


@pytest.mark.quick(4)
@pytest.mark.parametrize("case", parametrized())
@side_by_side
async def test_no_failure_leaves_a_strangers_saga_half_done(
    strangers: Environment, case: MatrixCase
) -> None:
    await case.run(strangers, await kept(strangers, case))


async def kept(strangers: Environment, case: MatrixCase) -> Books:
    """What an undisturbed run leaves: it is run once."""
    if case.saga not in _kept:
        _kept[case.saga] = asyncio.create_task(undisturbed(strangers, case.case))
    return await _kept[case.saga]
