"""What the engine decides, decided wrongly: each is a fault that it had, or could have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from unittest.mock import patch

import handrail.activities.saga_recorder
import handrail.sagas.rollback
from handrail.sagas import recovery as story
from handrail.sagas.events import SagaDecided
from handrail.sagas.recovery import Standing
from handrail.sagas.rollback_plan import way_back
from handrail.sagas.step_executor import StepExecutor
from handrail.sagas.step_keys import StepKey


@dataclass(frozen=True)
class Mutation:
    """`says` is what the engine does where the mend is taken out; `patches` are what takes it out.

    It is seen in the saga `shape`, by `disturbances` of these `kinds`, as a breach of a law that is
    named in `breaks`. `patched` is False for an engine that decides by what a workflow remembers.
    """

    name: str
    says: str
    shape: str
    kinds: frozenset[str]
    disturbances: int
    breaks: frozenset[str]
    patches: Sequence[tuple[Any, str, Any]] = ()
    patched: bool = True

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for where, name, instead in self.patches:
                stack.enter_context(patch.object(where, name, instead))
            yield


def _mutation(  # noqa: PLR0917  # a row of the table below
    name: str,
    says: str,
    where: str,
    kinds: str,
    disturbances: int,
    breaks: str,
    *patches: tuple[Any, str, Any],
    patched: bool = True,
) -> Mutation:
    return Mutation(
        name,
        says,
        where,
        frozenset(kinds.split(", ")),
        disturbances,
        frozenset(breaks.split(", ")),
        patches,
        patched,
    )


_unended = story.unended


def _only_the_last(events: Any, before: int) -> Any:
    return _unended(events, before)[-1:]


def _first_decision(attempt: int, events: Any) -> Any:
    decisions = (one for one in events if isinstance(one, SagaDecided))
    return next((one for one in decisions if one.attempt == attempt), None)


def _without_the_pivot(saga: Any, standing: Standing) -> Any:
    return replace(way_back(saga, standing), pivot_may_stand=False)


def _without_orphans(saga: Any, standing: Standing) -> Any:
    return replace(way_back(saga, standing), orphans=())


def _only_what_is_known(saga: Any, standing: Standing) -> Any:
    back = way_back(saga, replace(standing, unknown=()))
    return replace(back, orphans=(), pivot_may_stand=False)


async def _ends_nobody(*_: object) -> None:
    return None


_FOR_EVER = "an activity is tried for ever"
_key = StepExecutor.key


def _counted(self: StepExecutor, step: str, *more: Any, **named: Any) -> StepKey:
    counted = f"journal:{self._recorded}" if step.startswith("journal:") else step
    return _key(self, counted, *more, **named)


_DECISION: Final = [
    (story, "decision_of", _first_decision),
    (handrail.activities.saga_recorder, "decision_of", _first_decision),
]
_STANDS: Final = "nothing_done_stays_undone_for"
_TOLD: Final = "what_was_told_is_not_contradicted"
_AGREE: Final = "the_books_and_the_bank_agree"
_ONE_END: Final = "there_is_one_end"

MUTATIONS: Final[Sequence[Mutation]] = (
    _mutation(
        "A0",
        "turns back with what the workflow remembers",
        "ours",
        "die, cancel",
        2,
        f"{_STANDS}, {_TOLD}, {_ONE_END}",
        patched=False,
    ),
    _mutation(
        "A1",
        "looks at the attempt before this one alone",
        "paid",
        "terminate",
        2,
        f"{_STANDS}, {_AGREE}, the_pivot_takes_effect_at_most_once, {_TOLD}",
        (handrail.activities.saga_recorder, "unended", _only_the_last),
    ),
    _mutation(
        "A2",
        "takes the first decision, not the last",
        "paid alone",
        "give up, terminate",
        2,
        f"{_TOLD}, what_is_completed_was_done, {_STANDS}",
        *_DECISION,
    ),
    _mutation(
        "A3",
        "reads that a step did not happen as that it was done by hand",
        "paid",
        "give up",
        1,
        "what_is_completed_was_done",
        (story, "_was_denied", lambda _: False),
        (story, "_was_done", lambda resumed: resumed.kind in {"skip", "resolve"}),
    ),
    _mutation(
        "A4",
        "does not let the bank go of a pivot that was left for an attempt before",
        "payout",
        "terminate, cancel, refuse",
        2,
        f"{_STANDS}, {_AGREE}",
        (handrail.sagas.rollback, "way_back", _without_the_pivot),
    ),
    _mutation(
        "A6",
        "begins anew what has ended, in place of what follows it",
        "ours",
        "terminate",
        1,
        _ONE_END,
        (handrail.activities.saga_recorder, "_final_end", lambda *_: None),
    ),
    _mutation(
        "no doors",
        "turns back without closing the keys of its steps",
        "ours",
        "zombie, cancel",
        2,
        f"{_STANDS}, {_TOLD}",
        (handrail.activities.saga_recorder, "_keys_of_steps", lambda *_: ()),
    ),
    _mutation(
        "nobody is over",
        "begins an attempt without ending those before it",
        "ours",
        "terminate",
        1,
        f"{_STANDS}, {_TOLD}, {_ONE_END}, what_is_completed_was_done",
        (handrail.activities.saga_recorder.SagaRecorder, "_end_attempts", _ends_nobody),
    ),
    _mutation(
        "no orphans",
        "takes back at the bank only what its own books hold",
        "paid",
        "terminate, cancel",
        2,
        f"{_STANDS}, {_AGREE}",
        (handrail.sagas.rollback, "way_back", _without_orphans),
    ),
    _mutation(
        "known alone",
        "takes back only what is known to be done",
        "paid",
        "give up",
        1,
        f"{_STANDS}, {_AGREE}",
        (handrail.sagas.rollback, "way_back", _only_what_is_known),
    ),
    _mutation(
        "counted records",
        "names a record by a count, not by what it says",
        "parking",
        "die, give up, cancel",
        2,
        f"{_STANDS}, {_TOLD}, {_ONE_END}, an_intervention_counts_once, {_FOR_EVER}",
        (StepExecutor, "key", _counted),
    ),
    _mutation(
        "cancelled after its end",
        "lets an attempt be cancelled that only reports an end",
        "payout",
        "terminate, cancel",
        2,
        "an_accepted_cancellation_is_kept",
        (handrail.activities.saga_recorder, "_has_begun", lambda *_: True),
    ),
    _mutation(
        "taken back after its end",
        "takes back what went on behind its pivot, for a run that was reset",
        "paid",
        "give up, reset",
        2,
        f"{_ONE_END}, {_STANDS}, {_TOLD}",
        (handrail.activities.saga_recorder, "_has_gone_on", lambda *_: False),
    ),
)
