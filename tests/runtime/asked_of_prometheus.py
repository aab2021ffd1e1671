"""Which metrics an expression of Prometheus asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser as promql

_OF_A_FAMILY = re.compile(r"_(bucket|count|sum|total|created)$")


def family(metric: str) -> str:
    """Without what the parts of a histogram, and counters, have at their end."""
    return _OF_A_FAMILY.sub("", metric)


def metrics_of(expression: str) -> set[str]:
    return {str(one.name) for one in _selectors(promql.parse(expression))}


def _selectors(node: Any) -> Iterator[Any]:
    match node:
        case promql.VectorSelector():
            yield node
        case promql.MatrixSelector():
            yield node.vector_selector
        case promql.AggregateExpr() | promql.ParenExpr():
            yield from _selectors(node.expr)
        case promql.BinaryExpr():
            yield from _selectors(node.lhs)
            yield from _selectors(node.rhs)
        case promql.Call():
            for one in node.args:
                yield from _selectors(one)
        case _:
            return
