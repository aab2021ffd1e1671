"""What is true of every schedule at its end. Each law answers why it is not, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from handrail.sagas.definition import RetriableStep, Saga, Step
from handrail.sagas.events import (
    CancelRequested,
    SagaDecided,
    SagaEnded,
    SagaParked,
    SagaResumed,
    SagaStarted,
    StepDone,
)
from tests.model import books
from tests.model.moves import BANK
from tests.model.state import State

Law = Callable[[Saga, State], str]


def _end(state: State) -> SagaEnded | None:
    return next((one for one in reversed(state.story) if isinstance(one, SagaEnded)), None)


def _is_completed(state: State) -> bool:
    ended = _end(state)
    return ended is not None and ended.ending == "completed"


def _taken(state: State, saga: Saga) -> set[str]:
    """The steps whose effect stands in our own books."""
    duties = [saga.pivot_step, *(duty for group in saga.retriable_groups for duty in group)]
    every: list[Step | RetriableStep] = [step for group in saga.groups for step in group]
    every += duties
    return {
        one.name
        for one in every
        if isinstance(one.do, books.Take) and books.is_taken(state.contents.streams, one.do.book)
    }


def _at_bank(state: State) -> dict[str, int]:
    captured = {one.held for one in state.ledger.standing("capture")}
    holds = [one for one in state.ledger.standing("hold") if one.key not in captured]
    return {
        "AuthoriseDownPayment": len(holds),
        "CapturePayment": len(state.ledger.standing("capture")),
        "TransferPayout": len(state.ledger.standing("payout")),
    }


def nothing_done_stays_undone_for(saga: Saga, state: State) -> str:
    """A saga that ended refused or compensated has left nothing: not with us, not at the bank."""
    if _end(state) is None or _is_completed(state):
        return ""
    ours = _taken(state, saga) - state.by_hand
    # One compensation speaks to the bank for all steps: who saw to it by hand saw to all of them.
    bank = [] if state.by_hand & set(BANK) else [s for s, count in _at_bank(state).items() if count]
    left = sorted({*ours, *bank})
    return f"it ended {_end(state).ending}, and {', '.join(left)} still stands" if left else ""  # type: ignore[union-attr]  # there is one


def what_is_completed_was_done(saga: Saga, state: State) -> str:
    if not _is_completed(state):
        return ""
    taken, bank = _taken(state, saga), _at_bank(state)
    missing = [
        name
        for name in saga.names
        if name not in taken and name not in state.by_hand and not _is_done_at_bank(name, bank)
    ]
    return f"it is completed, and {', '.join(missing)} was not done" if missing else ""


def _is_done_at_bank(name: str, bank: dict[str, int]) -> bool:
    # What was authorised has been captured since.
    return name == "AuthoriseDownPayment" or bank.get(name, 0) > 0


def the_pivot_takes_effect_at_most_once(saga: Saga, state: State) -> str:
    count = _at_bank(state).get(saga.pivot_step.name, 0)
    return f"{saga.pivot_step.name} stands {count} times at the bank" if count > 1 else ""


def the_books_and_the_bank_agree(saga: Saga, state: State) -> str:
    stands = {name: bool(count) for name, count in _at_bank(state).items()}
    status = "none"
    for event in state.contents.streams.get("payment-order", ()):
        status = _STATUS.get(type(event).__name__, status)
    paid = any(
        type(event).__name__ == "PayoutTransferred"
        for event in state.contents.streams.get("transfer-payout", ())
    )
    ours = {
        "AuthoriseDownPayment": status == "authorised",
        "CapturePayment": status == "captured",
        "TransferPayout": paid,
    }
    differing = [
        name
        for name in saga.names
        if name in BANK and ours[name] != stands[name] and not state.by_hand
    ]
    if differing:
        return f"of {differing[0]} the books say {ours[differing[0]]}, the bank says otherwise"
    return (
        "more than one authorisation stands" if _at_bank(state)["AuthoriseDownPayment"] > 1 else ""
    )


_STATUS: Final = {
    "PaymentAuthorised": "authorised",
    "PaymentDeclined": "none",
    "PaymentVoided": "none",
    "PaymentCaptured": "captured",
    "PaymentRefunded": "none",
}


def there_is_one_end(saga: Saga, state: State) -> str:
    """One for each time that the saga was begun anew, and none after a completed one."""
    ends = [one for one in state.story if isinstance(one, SagaEnded)]
    if not ends:
        return "it never ends"
    if twice := [n for n, count in Counter(one.attempt for one in ends).items() if count > 1]:
        return f"attempt {twice[0]} ends more than once"
    at = state.story.index(ends[0])
    begun_anew = any(isinstance(one, SagaStarted) for one in state.story[at + 1 :])
    if begun_anew and (saga.repeats == "never" or ends[0].ending == "completed"):
        return "it is begun anew after its end"
    return "" if begun_anew or len(ends) == 1 else "it ends more than once"


def what_was_told_is_not_contradicted(saga: Saga, state: State) -> str:
    """Only an operator may change a mind, and is then named in the stream."""
    said: bool | None = None
    changed = False
    for event in state.story:
        match event:
            case SagaResumed(kind="compensate"):
                changed = True
            case SagaDecided(approved=approved):
                if said is not None and approved != said and not changed:
                    return f"the customer was told {_yes(said)}, and then {_yes(approved)}"
                said = approved
            case SagaEnded(ending=ending):
                if said is not None and said != (ending == "completed"):
                    return f"the customer was told {_yes(said)}, and it ended {ending}"
                said = None if saga.repeats != "never" else said
            case _:
                pass
    told = [one for one in state.told if one in {"yes", "no"}]
    by_operator = any(
        isinstance(one, SagaResumed) and one.kind == "compensate" for one in state.story
    )
    if len(set(told)) > 1 and not by_operator and saga.repeats == "never":
        return f"the customer was told {' and then '.join(told)}"
    return ""


def _yes(approved: object) -> str:
    return "yes" if approved else "no"


def an_accepted_cancellation_is_kept(saga: Saga, state: State) -> str:
    if "cancelled" not in state.told:
        return ""
    wish = next((n for n, one in enumerate(state.story) if isinstance(one, CancelRequested)), None)
    if wish is None:
        return "a cancellation was accepted, and the stream does not say so"
    later = (one for one in state.story[wish:] if isinstance(one, SagaEnded))
    ended = next(later, None) or _end(state)
    if ended and ended.ending == "completed":
        return "a cancellation was accepted, and the saga completed"
    return ""


def a_refused_cancellation_does_nothing(saga: Saga, state: State) -> str:
    ended = _end(state)
    accepted = "cancelled" in state.told or "temporal" in state.once
    if "not cancelled" in state.told and not accepted and ended and ended.because == "cancelled":
        return "a cancellation was refused, and the saga was cancelled"
    return ""


def an_intervention_counts_once(saga: Saga, state: State) -> str:
    resumed = [one for one in state.story if isinstance(one, SagaResumed)]
    parked = Counter(
        (one.attempt, one.step, one.direction) for one in state.story if isinstance(one, SagaParked)
    )
    for place, count in Counter((one.attempt, one.step, one.direction) for one in resumed).items():
        if count > parked[place]:
            return f"{place[1]} waited {parked[place]} times, and was resumed {count} times"
    times = Counter((one.intervention, one.step) for one in resumed)
    return next((f"{by} of {step} stands twice" for (by, step), n in times.items() if n > 1), "")


def what_follows_begins_once(saga: Saga, state: State) -> str:
    if _is_completed(state) and state.followed != 1:
        return f"what follows the saga began {state.followed} times"
    return ""


def a_step_is_done_once_an_attempt(saga: Saga, state: State) -> str:
    done = Counter(
        (one.attempt, one.step) for one in state.story if isinstance(one, StepDone) and one.outcome
    )
    return next((f"{step} was done {n} times" for (_, step), n in done.items() if n > 1), "")


LAWS: Final[Sequence[Law]] = (
    there_is_one_end,
    nothing_done_stays_undone_for,
    what_is_completed_was_done,
    the_pivot_takes_effect_at_most_once,
    the_books_and_the_bank_agree,
    what_was_told_is_not_contradicted,
    an_accepted_cancellation_is_kept,
    a_refused_cancellation_does_nothing,
    an_intervention_counts_once,
    a_step_is_done_once_an_attempt,
    what_follows_begins_once,
)
