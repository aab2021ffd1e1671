"""case_of: the Case of a SagaType, from a function that makes inputs with fresh ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter

from handrail.kernel import Command
from handrail.sagas.saga_type import SagaType
from handrail.testing.books import Aggregate
from handrail.testing.commands import execute_command
from handrail.testing.companies import Companies
from handrail.testing.environment import Environment
from handrail.testing.saga_case import Case, Correction, Refused, Subject


def _nothing(_: Any) -> Sequence[Command]:
    return ()


def case_of(
    saga_type: SagaType[Any],
    *,
    inputs: Callable[[], Any],
    aggregates: Mapping[str, Aggregate],
    saga_id: Callable[[Any], str] | None = None,
    given: Callable[[Any], Sequence[Command]] = _nothing,
    refusals: Mapping[str, Refused] | None = None,
    corrections: Mapping[str, Correction] | None = None,
    companies: Callable[[Any], Companies] | None = None,
    changes_nothing: frozenset[str] = frozenset(),
) -> Case:
    """What the harness has to know of a saga: in the simplest case, how an input is made.

    `inputs` makes an input with ids that no other one has: the texts in which two inputs differ are
    those ids. `given` are commands that make ready what the input needs; `saga_id` is the id that
    the application starts such a saga with, where it has one of its own. All else is as in Case.
    """

    async def prepare(environment: Environment) -> Subject:
        asked = inputs()
        for command in given(asked):
            answer = await execute_command(environment, command)
            name = type(command).__name__
            assert answer.status == "done", f"{name} was refused: {answer.outcome}"
        id_ = saga_id(asked) if saga_id else f"{saga_type.name}-{uuid4().hex[:12]}"
        names = {id_: "SAGA", **fresh_names(asked, inputs())}
        return Subject(id=id_, input=asked, saga=case.saga, names=names)

    case = Case(
        workflow=saga_type.workflow,
        example=saga_type.example,
        prepare=prepare,
        aggregates=aggregates,
        corrections=corrections or {},
        refusals=refusals or {},
        changes_nothing=changes_nothing,
    )
    _refuse_unknown_steps(saga_type, case)
    return replace(case, companies=companies) if companies else case


def fresh_names(asked: Any, other: Any) -> Mapping[str, str]:
    """The texts of an input that another one does not have, each with the path of its field.

    Raises ValueError where the two are the same: sagas would share what they write to.
    """
    theirs = dict(_texts(other))
    names: dict[str, str] = {}
    for path, text in _texts(asked):
        if theirs.get(path) != text:
            names.setdefault(text, path.upper())
    if not names:
        made = type(asked).__name__
        raise ValueError(f"inputs() made the same {made} twice: give each ids of its own")
    return names


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    yield from _leaves(TypeAdapter(type(value)).dump_python(value, mode="json"), "")


def _leaves(plain: Any, path: str) -> Iterator[tuple[str, str]]:
    match plain:
        case str():
            yield path or "input", plain
        case dict():
            for name, one in plain.items():
                yield from _leaves(one, f"{path}.{name}" if path else str(name))
        case list():
            for number, one in enumerate(plain):
                yield from _leaves(one, f"{path}.{number}")
        case _:
            return


def _refuse_unknown_steps(saga_type: SagaType[Any], case: Case) -> None:
    steps = case.saga.names
    for what in ("refusals", "corrections", "changes_nothing"):
        for step in getattr(case, what):
            if step not in steps:
                raise ValueError(
                    f"the case of {saga_type.name} names the step {step} in {what}, which the saga"
                    f" does not have: its steps are {', '.join(steps)}"
                )
