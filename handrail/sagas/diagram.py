"""A saga as a diagram and as a table, made of the same value that runs: they cannot disagree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Final

from handrail.kernel import Command
from handrail.sagas.definition import RetriableStep, Saga, Step

HEAD: Final = ("step", "kind", "is taken back by", "when refused", "without a definite answer")


def mermaid(saga: Saga) -> str:
    """The way forward in solid lines; in dotted lines the way back, from the newest step."""
    return "\n".join(["```mermaid", "flowchart LR", *_nodes(saga), *_ways(saga), "```"])


def table(saga: Saga) -> str:
    """In Markdown."""
    rule = "|" + "---|" * len(HEAD)
    head, *lines = (f"| {' | '.join(line)} |" for line in (HEAD, *rows(saga)))
    return "\n".join([head, rule, *lines])


def tree(saga: Saga) -> str:
    """For a terminal: downwards the way forward, to the right what takes each step back."""
    width = max(map(len, saga.names)) + 2
    lines = []
    for group in saga.groups:
        for mark, step in zip(_marks(group), group, strict=True):
            waits = ", and waits for an answer" if step.answered_within else ""
            lines.append(f"{mark} {step.name:<{width}}↩ {_name(step.undo)}{waits}")
    lines.append(f"◆  {saga.pivot_step.name:<{width}}the pivot: after it there is no way back")
    for retriable in saga.retriable_groups:
        marked = zip(_marks(retriable), retriable, strict=True)
        lines += [f"{mark} {one.name}" for mark, one in marked]
    return "\n".join([*lines, "▼"])


def _marks(group: Sequence[Step | RetriableStep]) -> Sequence[str]:
    return ["│ "] if len(group) == 1 else ["├┬", *["│├"] * (len(group) - 2), "│└"]


def _nodes(saga: Saga) -> Iterator[str]:
    for group in saga.groups:
        for step in group:
            left, right = ("[/", "/]") if step.answered_within else ("[", "]")
            yield f'    {step.name}{left}"{_in_words(step.do)}"{right}'
            yield f'    {_undo(step)}["{_in_words(step.undo)}"]'
    yield f'    {saga.pivot_step.name}{{{{"{_in_words(saga.pivot_step.do)}"}}}}'
    for retriable in chain(*saga.retriable_groups):
        yield f'    {retriable.name}(["{_in_words(retriable.do)}"])'


def _ways(saga: Saga) -> Iterator[str]:
    groups: list[Sequence[Step | RetriableStep]] = [
        *saga.groups,
        (saga.pivot_step,),
        *saga.retriable_groups,
    ]
    forward = [[step.name for step in group] for group in groups]
    for earlier, later in pairwise(forward):
        yield f"    {' & '.join(earlier)} --> {' & '.join(later)}"
    back = [[_undo(step) for step in group] for group in reversed(saga.groups)]
    for newer, older in pairwise([[saga.pivot_step.name], *back]):
        yield f"    {' & '.join(newer)} -.-> {' & '.join(older)}"


def rows(saga: Saga) -> Iterator[Sequence[str]]:
    """Under `HEAD`, a row for each step."""
    for group in saga.groups:
        for step in group:
            kind = "compensatable" if len(group) == 1 else "compensatable, parallel"
            refused = "what was done before is taken back"
            if step.answered_within:
                kind += ", answered"
                refused = "is taken back, with all before it"
            unknown = {
                "compensate": "is taken back, with all before it",
                "park": "waits for a person",
            }[step.on_unknown]
            yield step.name, kind, _name(step.undo), refused, unknown
    waits = "waits for a person"
    retried = f"{waits}, who has it tried again or all taken back"
    yield saga.pivot_step.name, "pivot", "nothing", "all is taken back", retried
    for retriable in saga.retriable_groups:
        kind = "retriable" if len(retriable) == 1 else "retriable, parallel"
        for one in retriable:
            anew = f"{waits}, who has it asked anew"
            yield one.name, kind, "nothing", anew, f"is tried again, then {waits}"


def _name(command: Command) -> str:
    return type(command).__name__


def _undo(step: Step) -> str:
    """A node of its own for each step, also where two are taken back by the same command."""
    return f"{_name(step.undo)}_of_{step.name}"


def _in_words(command: Command) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", _name(command)).capitalize()
