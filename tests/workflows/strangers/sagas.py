"""Sagas of shapes that the shop does not have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from temporalio import workflow

from handrail.sagas.definition import Parallel, Saga, Step
from handrail.sagas.execution import SagaExecution
from handrail.sagas.options import RunOptions, SagaIdentity, SagaResult
from handrail.sagas.workflow_handlers import SagaHandlers
from tests.workflows.strangers import messages as m

A_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Expedition:
    id: str
    shape: str


def saga(asked: Expedition) -> Saga:
    return _SHAPES[asked.shape](asked.id)


def _step(do: type[m.Take], expedition: str, **policy: Any) -> Step:
    undo = m.PutDown(expedition=expedition, item=do.__name__)
    return Step(do=do(expedition=expedition), undo=undo, **policy)


def two_answers(id_: str) -> Saga:
    """Answered one after the other."""
    return Saga(
        compensatable=[
            _step(m.AskForPermit, id_, answered_within=A_WEEK),
            _step(m.PackRope, id_),
            _step(m.AskForWeather, id_, answered_within=A_WEEK),
        ],
        pivot=m.Depart(expedition=id_),
        retriable=[m.WriteReport(expedition=id_)],
    )


def answers_beside(id_: str) -> Saga:
    """Both are awaited at the same time."""
    return Saga(
        compensatable=[
            Parallel(
                _step(m.AskForPermit, id_, answered_within=A_WEEK),
                _step(m.AskForWeather, id_, answered_within=A_WEEK),
            )
        ],
        pivot=m.Depart(expedition=id_),
    )


def pivot_only(id_: str) -> Saga:
    return Saga(compensatable=[], pivot=m.Depart(expedition=id_))


def crates(id_: str) -> Saga:
    """24 steps, four at a time."""
    groups = [m.CRATES[first : first + 4] for first in range(0, len(m.CRATES), 4)]
    return Saga(
        compensatable=[Parallel(*(_step(crate, id_) for crate in group)) for group in groups],
        pivot=m.Depart(expedition=id_),
    )


def nothing_to_undo(id_: str) -> Saga:
    """A step that has nothing to do, and may not be refused, before one that has."""
    return Saga(
        compensatable=[_step(m.CheckMap, id_), _step(m.PackTent, id_)],
        pivot=m.Depart(expedition=id_),
        repeats="always",
    )


def later_only(id_: str) -> Saga:
    """Nothing before the pivot, and three steps after it."""
    return Saga(
        compensatable=[],
        pivot=m.Depart(expedition=id_),
        retriable=[
            Parallel(m.SendWord(expedition=id_), m.ThankCrew(expedition=id_)),
            m.WriteReport(expedition=id_),
        ],
        repeats="never",
    )


def policies(id_: str) -> Saga:
    """Steps with policies of their own: one parks, one is tried once, one waits for an hour."""
    return Saga(
        compensatable=[
            _step(m.PackRope, id_, on_unknown="park", on_failure="park"),
            _step(m.PackTent, id_, attempts=1),
            _step(m.CheckMap, id_),
            _step(m.AskForPermit, id_, deadline=timedelta(hours=1)),
        ],
        pivot=m.Depart(expedition=id_),
        retriable=[m.WriteReport(expedition=id_)],
    )


_SHAPES: Final[Mapping[str, Callable[[str], Saga]]] = {
    shape.__name__: shape
    for shape in (
        two_answers,
        answers_beside,
        pivot_only,
        crates,
        nothing_to_undo,
        later_only,
        policies,
    )
}
SHAPES: Final = tuple(_SHAPES)


@workflow.defn(name="Expedition")
class ExpeditionWorkflow(SagaHandlers):
    @workflow.init
    def __init__(self, asked: Expedition, options: RunOptions, actor: str, attempt: int) -> None:
        identity = SagaIdentity(
            saga=workflow.info().workflow_id,
            saga_type=asked.shape,
            actor=actor,
            attempt=attempt,
            input=asked,
        )
        self._saga = SagaExecution(saga(asked), identity, options)

    @workflow.run
    async def run(
        self, _asked: Expedition, _options: RunOptions, _actor: str, _attempt: int
    ) -> SagaResult:
        return await self._saga.run()
