"""A failure: what goes wrong at a step, where that can happen, and how the saga may end then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Any, Final, Literal, get_args

from handrail.sagas.definition import RetriableStep, Saga, Step
from handrail.sagas.events import Ending
from handrail.testing.running_saga import ONE_TASK
from handrail.testing.saga_case import Case

Role = Literal["compensatable", "awaiting", "pivot", "retriable"]
Variant = str | int | None
"""What a failure is varied by, such as how many attempts there are; None where by nothing."""

ENDINGS: Final[tuple[Ending, ...]] = get_args(Ending)
SOON: Final = 2.0  # seconds until a step is given up that is made to fail
PATIENT: Final = 60.0

Endings = Callable[[Saga, str, Any], tuple[Ending, ...]]
"""How a saga may end that fails so at this step, in this variant: more than one where it is a race
between people.
"""


GivesUp = frozenset[Literal["deadline", "patience"]]
NEVER: Final[GivesUp] = frozenset()
AT_DEADLINE: Final[GivesUp] = frozenset({"deadline"})
AFTER_PATIENCE: Final[GivesUp] = frozenset({"patience"})


def always(*endings: Ending) -> Endings:
    return lambda _saga, _step, _variant: endings


COMPLETED: Final = always("completed")
REFUSED: Final = always("refused")
COMPENSATED: Final = always("compensated")


@dataclass(frozen=True)
class Need:
    """What has to hold of a step, or else the failure does not apply, and why it does not."""

    holds: Callable[[Case, Saga, str], bool]
    why_not: str


@dataclass(frozen=True)
class Failure:
    """`story` tells it: it asserts that the named step really failed, and what the stores say.

    `at` are the roles of the steps it can happen to. `gives_up` is what is short in its trial, as
    a step has to be given up: nothing more is, since each step of the saga is bound by it.
    `task` is how long a workflow task may take.
    """

    story: Callable[..., Awaitable[None]]
    at: tuple[Role, ...]
    endings: Endings = COMPLETED
    needs: tuple[Need, ...] = ()
    gives_up: GivesUp = NEVER
    task: timedelta = field(default=ONE_TASK, kw_only=True)

    @property
    def name(self) -> str:
        return self.story.__name__

    @property
    def deadline(self) -> float:
        """Seconds that a compensatable step is asked which does not say."""
        return SOON if "deadline" in self.gives_up else PATIENT

    @property
    def patience(self) -> float:
        """Seconds that anything later is asked which does not say: compensations, too."""
        return SOON if "patience" in self.gives_up else PATIENT

    def why_not(self, case: Case, step: str) -> str:
        """Why it does not apply to the step; empty where it does."""
        saga = case.saga
        if not any(step in roles_of(saga)[role] for role in self.at):
            return f"happens only to {_in_words(self.at)}"
        return next((need.why_not for need in self.needs if not need.holds(case, saga, step)), "")

    def steps(self, case: Case) -> list[str]:
        """Those it can happen to, role by role."""
        roles = roles_of(case.saga)
        steps = [step for role in self.at for step in roles[role]]
        return [step for step in steps if not self.why_not(case, step)]

    def variants(self, case: Case, step: str) -> Sequence[Variant]:  # noqa: ARG002  # some do
        return (None,)


def roles_of(saga: Saga) -> dict[Role, list[str]]:
    """The steps that have each role; one that awaits an answer is compensatable, too."""
    return {
        "compensatable": [step.name for group in saga.groups for step in group],
        "awaiting": [step.name for g in saga.groups for step in g if step.answered_within],
        "pivot": [saga.pivot_step.name],
        "retriable": [duty.name for group in saga.retriable_groups for duty in group],
    }


def names_side_by_side(saga: Saga) -> list[list[str]]:
    """Of the steps of each group."""
    promises = [[step.name for step in group] for group in saga.groups]
    return [*promises, *([duty.name for duty in group] for group in saga.retriable_groups)]


def step_named(saga: Saga, name: str) -> Step | RetriableStep:
    steps: list[Step | RetriableStep] = [
        *chain(*saga.groups),
        saga.pivot_step,
        *chain(*saga.retriable_groups),
    ]
    [found] = [step for step in steps if step.name == name]
    return found


def _in_words(roles: tuple[Role, ...]) -> str:
    words = {
        "compensatable": "compensatable steps",
        "awaiting": "steps that await an answer",
        "pivot": "the pivot",
        "retriable": "retriable steps",
    }
    return ", ".join(words[role] for role in roles)


def _is_given_up_soon(_: Case, saga: Saga, name: str) -> bool:
    step = step_named(saga, name)
    limit = step.deadline if isinstance(step, Step) else step.patience
    return limit is None or limit <= timedelta(seconds=SOON)


def _is_retried(_: Case, saga: Saga, name: str) -> bool:
    attempts = step_named(saga, name).attempts
    return attempts is None or attempts > 1


def _runs_beside(_: Case, saga: Saga, name: str) -> bool:
    return any(name in names and len(names) > 1 for names in names_side_by_side(saga))


def _leads_to(policy: str, consequence: str) -> Callable[[Case, Saga, str], bool]:
    def leads(_: Case, saga: Saga, name: str) -> bool:
        return getattr(step_named(saga, name), policy, consequence) == consequence

    return leads


CORRECTABLE: Final = Need(
    lambda case, _, step: step in case.corrections, "the case has no correction of it"
)
REFUSABLE_INPUT: Final = Need(
    lambda case, _, step: step in case.refusals, "the case does not say how it is refused"
)
ASKS_OUTSIDE: Final = Need(
    lambda _, saga, step: step_named(saga, step).do.asks_outside, "it asks no other company"
)
LEAVES_SOMETHING: Final = Need(
    lambda case, _, step: step not in case.changes_nothing,
    "it changes nothing, so it has no compensation to run",
)
SHUTS_PIVOT: Final = Need(
    lambda _, saga, __: saga.can_void_pivot, "no compensation closes the key of the pivot"
)
BESIDE: Final = Need(_runs_beside, "no step runs beside it")
RETRIED: Final = Need(_is_retried, "it is asked only once")
GIVEN_UP_SOON: Final = Need(
    _is_given_up_soon, f"it is asked for longer than {SOON:.0f} s, which a trial does not wait"
)
UNKNOWN_COMPENSATES: Final = Need(
    _leads_to("on_unknown", "compensate"), "it parks when its outcome is unknown"
)
UNKNOWN_PARKS: Final = Need(
    _leads_to("on_unknown", "park"), "it compensates when its outcome is unknown"
)
FAILURE_COMPENSATES: Final = Need(_leads_to("on_failure", "compensate"), "it parks when it fails")
FAILURE_PARKS: Final = Need(_leads_to("on_failure", "park"), "it compensates when it fails")
