"""Saga coverage: what of the matrix was run, as numbers, on a terminal and as a page."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from itertools import chain

import pytest

from handrail.sagas.events import Ending
from handrail.testing.coverage import Place, SagaCoverage
from handrail.testing.coverage_page import coverage_page
from handrail.testing.coverage_table import AT_MOST, WIDTH, printed
from handrail.testing.failure import PATIENT, SOON
from handrail.testing.failures import FAILURES
from handrail.testing.saga_matrix import in_turn, matrix
from tests.workflows.strangers.business import CASES


def of(*sagas: str) -> SagaCoverage:
    return SagaCoverage.of(chain(*(matrix(saga, CASES[saga]) for saga in sagas)))


def everything(coverage: SagaCoverage) -> SagaCoverage:
    for entry in coverage.matrix.values():
        if entry.endings:
            coverage.ran(entry.id, entry.endings[0])
    return coverage


def state(coverage: SagaCoverage, step: str, failure: str, ending: Ending) -> str:
    [saga] = coverage.sagas
    return coverage.cells()[Place(saga, step, failure, ending)].state


def test_nothing_is_covered_before_anything_is_run() -> None:
    coverage = of("pivot_only")
    assert coverage.percent == 0
    assert {cell.state for cell in coverage.cells().values()} == {"never run", "not applicable"}


def test_a_case_that_ran_covers_its_step_its_failure_and_its_ending_alone() -> None:
    coverage = of("pivot_only")
    coverage.ran("pivot_only-is_refused-Depart-local", "refused")
    run = [place for place, cell in coverage.cells().items() if cell.state == "run"]
    assert run == [Place("pivot_only", "Depart", "is_refused", "refused")]


def test_a_failure_in_one_of_its_variants_may_end_otherwise_than_in_another() -> None:
    coverage = of("two_answers")
    where = ("AskForPermit", "is_lost_once_it_was_approved")
    coverage.ran("two_answers-is_lost_once_it_was_approved-person-AskForPermit-local", "completed")
    assert state(coverage, *where, "completed") == "run"
    assert state(coverage, *where, "compensated") == "never run"
    assert state(coverage, *where, "refused") == "not applicable"


def test_where_people_race_either_ending_is_covered_by_a_run() -> None:
    coverage = of("pivot_only")
    coverage.ran("pivot_only-is_denied_and_tried_again-Depart-local", "compensated")
    cells = coverage.cells()
    found = {
        ending: cells[Place("pivot_only", "Depart", "is_denied_and_tried_again", ending)]
        for ending in ("completed", "compensated")
    }
    assert {ending: (cell.state, cell.seen) for ending, cell in found.items()} == {
        "completed": ("run", 0),
        "compensated": ("run", 1),
    }


def test_all_that_is_applicable_is_a_hundred_percent() -> None:
    assert everything(of("later_only", "policies")).percent == 100


@pytest.mark.parametrize("saga", ["two_answers", "policies", "later_only"])
def test_all_that_is_applicable_is_covered_by_cases_that_take_turns(saga: str) -> None:
    coverage = of(saga)
    for one in in_turn(matrix(saga, CASES[saga])):
        coverage.ran(one.id, one.endings[0])
    assert coverage.never_run() == []


def test_what_processes_ran_adds_up() -> None:
    whole = SagaCoverage()
    for id_ in ("pivot_only-is_refused-Depart-local", "pivot_only-fails_once-Depart-local"):
        part = of("pivot_only")
        part.ran(id_, part.matrix[id_].endings[0])
        whole.merge(json.loads(json.dumps(part.data())))
    assert sum(cell.state == "run" for cell in whole.cells().values()) == 2
    assert whole.matrix == of("pivot_only").matrix


def test_a_case_that_the_matrix_does_not_have_is_refused() -> None:
    with pytest.raises(LookupError, match="the matrix has no case another"):
        of("pivot_only").ran("another", "completed")


@pytest.mark.parametrize(
    ("id_", "why_not"),
    [
        ("policies-fails_once-PackTent-local", "it is asked only once"),
        (
            "policies-is_skipped-PackTent-local",
            "happens only to retriable steps",
        ),
        (
            "policies-fails_until_its_deadline-PackRope-local",
            "it parks when its outcome is unknown",
        ),
        (
            "policies-always_loses_its_answer-AskForPermit-local",
            "it is asked for longer than 2 s, which a trial does not wait",
        ),
        (
            "nothing_to_undo-its_undo_fails_once-CheckMap-local",
            "it changes nothing, so it has no compensation to run",
        ),
        ("two_answers-two_undos_wait_side_by_side-PackRope-local", "no step runs beside it"),
        ("two_answers-is_not_asked_again-PackRope-local", "it asks no other company"),
    ],
)
def test_what_is_not_applicable_says_why(id_: str, why_not: str) -> None:
    found = of(id_.partition("-")[0]).matrix[id_]
    assert (found.why_not, found.endings) == (why_not, ())


def test_a_pair_needs_a_step_before_it_whose_compensation_can_go_wrong() -> None:
    cases = list(matrix("two_answers", CASES["two_answers"], pairs=True))
    pairs = [one for one in cases if one.failure.name == "refused_then_its_undo_fails_once"]
    found = {(one.step, one.variant): one.why_not for one in pairs}
    assert found["AskForPermit", None] == "no compensation runs before it"
    assert found["PackRope", "AskForPermit"] == ""
    assert {step for step, _ in found if step == "Depart"} == {"Depart"}


@pytest.mark.parametrize(
    ("failure", "deadline", "patience"),
    [
        ("fails_once", PATIENT, PATIENT),
        ("fails_until_its_deadline", SOON, PATIENT),
        ("its_undo_never_works", PATIENT, SOON),
        ("certainly_did_not_happen", PATIENT, SOON),
    ],
)
def test_only_what_has_to_be_given_up_is_given_up_soon(
    failure: str, deadline: float, patience: float
) -> None:
    """Each of 24 steps is bound by it, and a busy machine takes its time."""
    told = FAILURES[failure]
    assert (told.deadline, told.patience) == (deadline, patience)


def test_ids_and_order_are_the_same_in_every_run() -> None:
    first, second = (list(matrix("crates", CASES["crates"], pairs=True)) for _ in range(2))
    assert [one.id for one in first] == [one.id for one in second]
    assert len({one.id for one in first}) == len(first)


def test_the_table_fits_a_terminal_of_eighty_columns() -> None:
    coverage = of(*CASES)
    coverage.ran("pivot_only-is_refused-Depart-local", "refused")
    text = printed(coverage)
    assert max(map(len, text.splitlines())) <= WIDTH
    for step in CASES["crates"].example().names:
        assert f" {step} " in text
    assert f"and {len(coverage.never_run()) - AT_MOST} more" in text
    assert "saga coverage 0." in text


def test_the_table_says_what_was_never_run_and_how_much_was() -> None:
    coverage = everything(of("pivot_only"))
    for where in ("local", "queues"):
        del coverage.endings[f"pivot_only-is_refused-Depart-{where}"]
    text = printed(coverage)
    assert "pivot_only, Depart: is_refused, refused" in text
    assert "saga coverage 9" in text


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.states: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.links += [str(found[name]) for name in ("src", "href") if name in found]
        if tag == "span":
            self.states.append(str(found["class"]))


def test_the_page_is_one_file_without_scripts_and_has_every_cell() -> None:
    coverage = of("two_answers", "policies")
    coverage.ran("two_answers-is_declined-AskForPermit-local", "refused")
    page = Page(coverage_page(coverage))
    assert "script" not in page.tags
    assert page.links == []
    cells = coverage.cells().values()
    legend = 1
    assert page.states.count("run") == 1 + legend
    never = sum(cell.state == "never run" for cell in cells)
    assert page.states.count("never-run") == never + legend
