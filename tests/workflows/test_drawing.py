"""The drawings are made of the saga that runs, and the README shows them as they are now."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.identifiers import OrderId
from domain.ordering.commands import ConfirmOrder, RejectOrder
from domain.payments.commands import CapturePayment, VoidPayment
from handrail.sagas.definition import RetriableStep, Saga, Step
from handrail.sagas.diagram import mermaid, table, tree
from handrail.sagas.explain import explain
from handrail.sagas.saga_type import SagaType
from runtime.app import HANDRAIL
from tests.controls import eur
from tests.workflows.steps import EVERY, GROUPS, PIVOT, SAGA
from workflows.checkout import SAGA as CHECKOUT

README = Path(__file__).parents[2] / "README.md"


def test_every_step_is_drawn_once() -> None:
    nodes = re.findall(r"^    (\w+)[\[{(]", mermaid(SAGA), re.MULTILINE)
    assert [node for node in nodes if "_of_" not in node] == EVERY
    assert len(nodes) == len(set(nodes))


def test_the_way_back_is_the_way_forward_reversed() -> None:
    ways_back = re.findall(r"(.+) -\.-> (.+)", mermaid(SAGA))
    undone = [re.findall(r"_of_(\w+)", to) for _, to in ways_back]
    assert undone == GROUPS[::-1]
    assert ways_back[0][0].strip() == PIVOT


def test_the_table_has_a_row_for_every_step() -> None:
    assert re.findall(r"^\| ([A-Z]\w+) \|", table(SAGA), re.MULTILINE) == EVERY


@pytest.mark.parametrize("type_", HANDRAIL.saga_types.values(), ids=lambda one: one.name)
def test_every_saga_is_drawn_and_explained_step_by_step(type_: SagaType[Any]) -> None:
    saga = type_.example()
    nodes = re.findall(r"^    (\w+)[\[{(]", mermaid(saga), re.MULTILINE)
    names = list(saga.names)
    assert [node for node in nodes if "_of_" not in node] == names
    assert re.findall(r"^\| ([A-Z]\w+) \|", table(saga), re.MULTILINE) == names
    assert re.findall(r"^\W+ ([A-Z]\w+)", tree(saga), re.MULTILINE) == names
    assert [one.step for one in explain(saga)] == names


def test_what_is_explained_follows_the_policies_of_the_step() -> None:
    order = OrderId("order-1")
    step = Step(
        do=ConfirmOrder(order=order),
        undo=RejectOrder(order=order),
        deadline=timedelta(minutes=2),
        attempts=5,
        on_unknown="park",
        answered_within=timedelta(days=14),
        reminded_after=timedelta(hours=36),
    )
    duty = RetriableStep(do=VoidPayment(order=order), patience=timedelta(hours=1), attempts=3)
    pivot = CapturePayment(order=order, amount=eur(1))
    promise, _, last = explain(Saga(compensatable=[step], pivot=pivot, retriable=[duty]))
    assert "within 14 days, and is reminded after 36 hours" in promise.what
    assert promise.silent.startswith("it is asked again for 2 minutes, at most 5 times, then it")
    assert "it waits for an operator (retry, correct, resolve or compensate)" in promise.silent
    assert promise.fails.startswith("the saga ends as compensated")
    assert "a no, or no answer in time: ConfirmOrder is taken back" in promise.refused
    assert last.silent.startswith("it is asked again for 1 hour, at most 3 times")
    assert "skip" in last.fails
    assert last.cancelled.startswith("refused: it is too late")


def test_what_is_drawn_does_not_depend_on_the_order() -> None:
    assert (mermaid(CHECKOUT.example()), table(CHECKOUT.example())) == (mermaid(SAGA), table(SAGA))


@pytest.mark.parametrize(("name", "drawn"), [("mermaid", mermaid), ("table", table)])
def test_the_readme_shows_the_saga_as_it_is(name: str, drawn: Callable[[Saga], str]) -> None:
    shown = re.search(f"<!-- saga:{name} -->\n(.*?)<!-- /saga -->", README.read_text(), re.DOTALL)
    assert shown, f"README.md has no <!-- saga:{name} --> … <!-- /saga -->"
    assert shown[1].strip() == drawn(CHECKOUT.example()), (
        "the saga has changed: put what `handrail sagas diagram Checkout` prints into README.md"
    )
