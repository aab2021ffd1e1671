"""Who collects a plan, and a return that is taken back: each mend of theirs taken out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

from temporalio import workflow
from temporalio.exceptions import FailureError

from domain.payments import plan
from handrail.sagas import child_workflows
from handrail.sagas.child_workflows import Child
from workflows import collection_sagas, plan_collection, return_order
from workflows.collect_instalments import CollectInstalmentsWorkflow
from workflows.plan_collection import Progress


@dataclass(frozen=True)
class Mutation:
    """As in `tests/model/mutations.py`; `without` are patches of workflows that are taken out."""

    name: str
    says: str
    returns: str
    kinds: frozenset[str]
    disturbances: int
    breaks: frozenset[str]
    patches: Sequence[tuple[Any, str, Any]] = ()
    without: frozenset[str] = frozenset()

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for where, name, instead in self.patches:
                stack.enter_context(patch.object(where, name, instead))
            yield


async def _nobody(*_: Any, **__: Any) -> None:
    """Sees to nothing."""


def _collector_of(asked: Any) -> Child:
    return Child(
        name=plan_collection.TYPE,
        workflow=CollectInstalmentsWorkflow,
        input=asked,
        id=plan_collection.workflow_id(asked.order),
        tenant=asked.merchant,
        summary="",
    )


async def _without_a_signal(asked: Any, options: Any, actor: str) -> None:
    if (await plan_collection.read_plan(asked.order)).due:
        again = Progress(reopened=True)
        await child_workflows.start_again(_collector_of(asked), options, actor, again)


async def _only_a_signal(asked: Any, _options: Any, _actor: str) -> None:
    with suppress(FailureError):
        other = workflow.get_external_workflow_handle(_collector_of(asked).id)
        await other.signal("look_again")


async def _only_once(asked: Any, options: Any, actor: str) -> None:
    again = Progress(reopened=True)
    if not await child_workflows.start_again(_collector_of(asked), options, actor, again):
        await _only_a_signal(asked, options, actor)


async def _no_attempt(_: str) -> int:
    return 0


_DUE: Final = "what_is_due_is_asked_for"
_KNOWN: Final = "what_was_missed_is_known"


def _mutation(  # noqa: PLR0917  # a row of the table below
    name: str,
    says: str,
    returns: str,
    kinds: str,
    disturbances: int,
    breaks: str,
    *patches: tuple[Any, str, Any],
    without: str = "",
) -> Mutation:
    return Mutation(
        name,
        says,
        returns,
        frozenset(kinds.split(", ")),
        disturbances,
        frozenset(breaks.split(", ")),
        patches,
        frozenset({without} - {""}),
    )


MUTATIONS: Final[Sequence[Mutation]] = (
    _mutation(
        "A5",
        "takes a return back and sees to nobody who collects what came back",
        "all of it",
        "switch, time, settle",
        2,
        _DUE,
        (return_order, "is_collected", _nobody),
    ),
    _mutation(
        "after the end",
        "sees to the collection once its end is recorded, and is terminated in between",
        "all of it",
        "settle, end return",
        2,
        _DUE,
        without=return_order.BEFORE_ITS_END,
    ),
    _mutation(
        "no signal",
        "begins the collection anew, and says nothing to one that goes on",
        "all of it",
        "switch, time, settle",
        2,
        _DUE,
        (return_order, "is_collected", _without_a_signal),
    ),
    _mutation(
        "a signal alone",
        "says that the plan has grown, to whom it may concern",
        "all of it",
        "switch, time, settle",
        2,
        _DUE,
        (return_order, "is_collected", _only_a_signal),
    ),
    _mutation(
        "once",
        "does not look again where the collection ended before it heard",
        "all of it",
        "switch, time, settle",
        3,
        _DUE,
        (return_order, "is_collected", _only_once),
    ),
    _mutation(
        "deaf in the end",
        "does not look once more when it is told to while it is about to end",
        "all of it",
        "slow, time",
        2,
        _DUE,
        (CollectInstalmentsWorkflow, "_look_once_more", _nobody),
    ),
    _mutation(
        "forgets misses",
        "collects anew, and does not know what was missed before",
        "all of it",
        "time, decline",
        4,
        _KNOWN,
        (CollectInstalmentsWorkflow, "_remember", _nobody),
    ),
    _mutation(
        "forgets attempts",
        "collects anew, and asks for each instalment as for the first time",
        "all of it",
        "time, decline",
        3,
        f"{_DUE}, {_KNOWN}, all_was_asked_for",
        (collection_sagas, "last_attempt", _no_attempt),
    ),
    _mutation(
        "done with nothing",
        "takes what a return took off the plan for paid",
        "all of it",
        "switch, time",
        2,
        "it goes on for ever, who_pays_may_borrow_again",
        (plan, "check_unpaid", lambda *_: None),
    ),
)
