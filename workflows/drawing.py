"""A saga as a diagram and as a table, made of the same value that runs: they cannot disagree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

from domain.kernel import Command, CustomerId, MerchantId, Money, OrderId, Sku
from domain.ordering.events import OrderLine
from workflows import checkout
from workflows.shape import Saga, Step


def example() -> Saga:
    """The checkout saga of some order: its steps are the same for all orders."""
    order = checkout.Checkout(
        order=OrderId("order-1"),
        customer=CustomerId("customer-1"),
        merchant=MerchantId("merchant-1"),
        lines=(OrderLine(sku=Sku("cup"), quantity=2, unit_price=Money(50_00, "EUR")),),
        total=Money(100_00, "EUR"),
        instalments=3,
        card="card-1",
        ship_to="address-1",
        placed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return checkout.saga(order)


def mermaid(saga: Saga) -> str:
    """The way forward in solid lines; in dotted lines the way back, from the newest step."""
    return "\n".join(["```mermaid", "flowchart LR", *_nodes(saga), *_ways(saga), "```"])


def table(saga: Saga) -> str:
    head = (
        "| step | kind | is taken back by | when refused | without a definite answer |",
        "|---|---|---|---|---|",
    )
    return "\n".join([*head, *_rows(saga)])


def _nodes(saga: Saga) -> Iterator[str]:
    for group in saga.groups:
        for step in group:
            yield f'    {step.name}["{_in_words(step.do)}"]'
            yield f'    {_undo(step)}["{_in_words(step.undo)}"]'
    yield f'    {_name(saga.pivot)}{{{{"{_in_words(saga.pivot)}"}}}}'
    for command in saga.retriable:
        yield f'    {_name(command)}(["{_in_words(command)}"])'


def _ways(saga: Saga) -> Iterator[str]:
    forward = [[step.name for step in group] for group in saga.groups]
    forward += [[_name(saga.pivot)], *([_name(command)] for command in saga.retriable)]
    for earlier, later in pairwise(forward):
        yield f"    {' & '.join(earlier)} --> {' & '.join(later)}"
    back = [[_undo(step) for step in group] for group in reversed(saga.groups)]
    for newer, older in pairwise([[_name(saga.pivot)], *back]):
        yield f"    {' & '.join(newer)} -.-> {' & '.join(older)}"


def _rows(saga: Saga) -> Iterator[str]:
    for group in saga.groups:
        kind = "compensatable" if len(group) == 1 else "compensatable, parallel"
        for step in group:
            unknown = {
                "compensate": "is taken back, with all before it",
                "park": "waits for a person",
            }[step.on_unknown]
            refused = "what was done before is taken back"
            yield f"| {step.name} | {kind} | {_name(step.undo)} | {refused} | {unknown} |"
    waits = "waits for a person"
    yield (
        f"| {_name(saga.pivot)} | pivot | nothing | all is taken back |"
        f" {waits}, who has it tried again or all taken back |"
    )
    for command in saga.retriable:
        yield (
            f"| {_name(command)} | retriable | nothing | {waits}, who has it asked anew |"
            f" is tried again, then {waits} |"
        )


def _name(command: Command) -> str:
    return type(command).__name__


def _undo(step: Step) -> str:
    """A node of its own for each step, also where two are taken back by the same command."""
    return f"{_name(step.undo)}_of_{step.name}"


def _in_words(command: Command) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", _name(command)).capitalize()


if __name__ == "__main__":
    print(mermaid(example()), table(example()), sep="\n\n")  # noqa: T201  # it is what it is for
