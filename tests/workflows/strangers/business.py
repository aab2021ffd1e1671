"""What runs the strangers' sagas, and a case for each: all that a team writes for the harness."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final
from uuid import uuid4

from handrail.activities import saga_recorder as recorder
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.eventstore.store import EventStore
from handrail.kernel import context_of
from handrail.temporal.client import Activities, data_converter, sandbox
from handrail.testing.books import Aggregate
from handrail.testing.environment import Business, Opened, Servers
from handrail.testing.saga_case import Case, Subject
from tests.workflows.strangers import items
from tests.workflows.strangers.messages import CATEGORY, CODEC, COMMANDS, CheckMap, Take
from tests.workflows.strangers.sagas import SHAPES, Expedition, ExpeditionWorkflow, saga


def _activities(store: EventStore) -> Activities:
    handler = CommandHandler(
        store,
        single_stream(CATEGORY, items.Item(), items.stream_id, items.decide, items.evolve),
    )
    return {
        "sagas": recorder.activities(store, CODEC),
        context_of(Take): [serve(command, handler.handle) for command in COMMANDS],
    }


@asynccontextmanager
async def _open(_: Servers) -> AsyncIterator[Opened]:
    yield Opened(serve=_activities)


BUSINESS: Final = Business(
    codec=CODEC,
    data_converter=data_converter(CODEC),
    workflows=(ExpeditionWorkflow,),
    runner=sandbox(["tests.workflows.strangers"]),
    open=_open,
)


async def _prepare(shape: str, _: Any) -> Subject:
    id_ = f"expedition-{uuid4().hex[:8]}"
    asked = Expedition(id=id_, shape=shape)
    return Subject(id=id_, input=asked, saga=saga(asked), names={id_: "EXPEDITION"})


def _case(shape: str) -> Case:
    example = partial(saga, Expedition(id="expedition-1", shape=shape))
    of_them = example()
    later = [of_them.pivot_step, *(duty for group in of_them.retriable_groups for duty in group)]
    return Case(
        workflow=ExpeditionWorkflow,
        example=example,
        prepare=partial(_prepare, shape),
        aggregates={
            CATEGORY: Aggregate(initial=items.Item(), evolve=items.evolve, standing=_taken)
        },
        changes_nothing=frozenset({CheckMap.__name__}).intersection(of_them.names),
        corrections={
            step.name: lambda asked: replace(asked, cause="it was forgotten") for step in later
        },
    )


def _taken(item: dict[str, Any]) -> Any:
    return item if item["taken"] else None


CASES: Final[Mapping[str, Case]] = {shape: _case(shape) for shape in SHAPES}
