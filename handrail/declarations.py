"""Mistakes in the sagas and projections that an App declares, each with its remedy."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from handrail import bounds
from handrail.kernel import NO_TENANT, Command, context_of
from handrail.privacy.declared import mistakes_of_names

if TYPE_CHECKING:
    from handrail.projections.projection import Projection
    from handrail.sagas.definition import Saga, Step
    from handrail.sagas.saga_type import SagaType


def mistakes_of_saga(type_: SagaType[Any], commands: Collection[type]) -> Iterator[str]:
    """`commands` are those of all contexts."""
    saga = type_.example()
    for command in _commands(saga):
        if command not in commands:
            yield (
                f"the saga {type_.name} asks for {command.__name__}, which no context has: add it"
                " to the commands of its context"
            )
            return
    yield from mistakes_of_names(type_, [*dict.fromkeys(_commands(saga))])
    yield from _wrong_undos(type_.name, saga)
    yield from _wrong_names(type_)


def mistakes_of_projection(projection: Projection[Any], events: Collection[type]) -> Iterator[str]:
    """`events` are those of all contexts."""
    for event in projection.handles:
        if event not in events:
            yield (
                f"the projection {projection.name} handles {event.__name__}, which no context has:"
                " add it to the events of its context"
            )


def _commands(saga: Saga) -> Iterator[type[Command]]:
    for step in _compensatable(saga):
        yield from (type(step.do), type(step.undo))
    yield type(saga.pivot_step.do)
    for group in saga.retriable_groups:
        yield from (type(one.do) for one in group)


def _compensatable(saga: Saga) -> Sequence[Step]:
    return [step for group in saga.groups for step in group]


def _wrong_undos(name: str, saga: Saga) -> Iterator[str]:
    undone: dict[Command, str] = {}
    for step in _compensatable(saga):
        undo, step_context = type(step.undo), context_of(type(step.do))
        if context_of(undo) != step_context:
            yield (
                f"the saga {name} takes {step.name} back by {undo.__name__}, which belongs to"
                f" {context_of(undo)}: a step is taken back in its own context, {step_context}"
            )
        elif step.undo in undone:
            yield (
                f"the saga {name} takes both {undone[step.undo]} and {step.name} back by"
                f" the same {undo.__name__}: give each step an undo of its own"
            )
        undone[step.undo] = step.name


def _wrong_names(type_: SagaType[Any]) -> Iterator[str]:
    """What Temporal shows and searches by: bounded, and nothing personal."""
    asked = type_.example_input
    if said := bounds.SAGA_ID.wrong_with(type_.id(asked)):
        yield f"the id of the saga {type_.name} {said}, and is {type_.id(asked)!r}: mend its id=…"
    tenant = type_.tenant(asked)
    if tenant != NO_TENANT and (said := bounds.ID.wrong_with(tenant)):
        yield (
            f"the tenant of the saga {type_.name} {said}, and is {tenant!r}: it becomes a search"
            " attribute of Temporal, so it is an id and nothing personal"
        )
