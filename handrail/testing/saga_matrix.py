"""The matrix of a saga: every failure at every step, as data with stable ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, get_args

from handrail.sagas.events import Ending, SagaEnded
from handrail.testing.alone import ALONE
from handrail.testing.attempts import ATTEMPTS
from handrail.testing.books import Books
from handrail.testing.environment import Environment
from handrail.testing.failure import Failure, Variant
from handrail.testing.failures import FAILURES
from handrail.testing.interventions import CROSSED
from handrail.testing.lost_tasks import LOST
from handrail.testing.pairs import PAIRS
from handrail.testing.running_saga import Placement
from handrail.testing.saga_case import Case
from handrail.testing.trial import Trial, a_trial

PLACEMENTS: Final[tuple[Placement, ...]] = get_args(Placement)

SINGLE: Final[tuple[Mapping[str, Failure], ...]] = (FAILURES, ALONE, CROSSED, LOST, ATTEMPTS)
"""All failures but pairs: of steps, of companies, of people, of workflow tasks, of attempts."""


@dataclass(frozen=True, kw_only=True)
class MatrixCase:
    """One failure at one step of a saga, with the endings that it may lead to.

    It is applicable where `why_not` is empty. `id` is the same in every run, and in every version
    in which saga, failure and step have the same names.
    """

    saga: str
    case: Case
    failure: Failure
    step: str
    placement: Placement
    variant: Variant = None
    why_not: str = ""

    @property
    def id(self) -> str:
        parts = (self.saga, self.failure.name, self.variant, self.step, self.placement)
        return "-".join(str(part) for part in parts if part is not None)

    @property
    def is_applicable(self) -> bool:
        return not self.why_not

    @property
    def endings(self) -> tuple[Ending, ...]:
        """More than one where people race; none where it is not applicable."""
        if self.why_not:
            return ()
        return self.failure.endings(self.case.saga, self.step, self.variant)

    async def run(self, environment: Environment, kept: Books) -> Ending:
        """Run it, and answer how the saga ended. `kept` is what an undisturbed run leaves.

        Raises AssertionError where the stores hold anything that they should not.
        """
        trial = await a_trial(
            environment,
            self.case,
            self.placement,
            kept,
            deadline=self.failure.deadline,
            patience=self.failure.patience,
            task_timeout=self.failure.task,
        )
        async with trial:
            arguments = () if self.variant is None else (self.variant,)
            await self.failure.story(trial, self.step, *arguments)
        ending = await _ended(trial)
        assert ending in self.endings, f"{self.id} ended {ending}, and not {self.endings}"
        return ending


async def _ended(trial: Trial) -> Ending:
    """As the last attempt that ended."""
    ended = [event for event in await trial.story() if isinstance(event, SagaEnded)]
    return ended[-1].ending


def matrix(
    saga: str,
    case: Case,
    *,
    pairs: bool = False,
    placements: Sequence[Placement] = PLACEMENTS,
) -> Iterator[MatrixCase]:
    """All cases of a saga, also those that are not applicable, in a stable order.

    With `pairs` also two failures at once: the saga turns back at one step, and the compensation of
    another goes wrong.
    """
    registries: list[Mapping[str, Failure]] = [*SINGLE, *([PAIRS] if pairs else [])]
    for failure in chain(*(registry.values() for registry in registries)):
        for step in case.saga.names:
            why_not = failure.why_not(case, step)
            variants = failure.variants(case, step)
            if why_not or not variants:
                variants, why_not = (None,), why_not or "no compensation runs before it"
            for variant in variants:
                for placement in placements:
                    yield MatrixCase(
                        saga=saga,
                        case=case,
                        failure=failure,
                        step=step,
                        placement=placement,
                        variant=variant,
                        why_not=why_not,
                    )


def in_turn(cases: Iterable[MatrixCase]) -> Iterator[MatrixCase]:
    """Of the applicable cases, for each step, failure and ending one: variants and placements take
    turns. Where this is run, every failure was run at every step, and led to every ending it may.
    """
    same: dict[object, list[MatrixCase]] = {}
    for one in cases:
        if one.is_applicable:
            same.setdefault((one.failure.name, one.step, one.endings), []).append(one)
    for turn, group in enumerate(same.values()):
        yield group[turn % len(group)]
