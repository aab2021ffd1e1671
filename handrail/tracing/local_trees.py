"""Hands spans on for export once the first span of their tree in this process has ended.

A process that is killed in the middle of an activity would else have exported a span of it, and
never the activity's own: nobody would find the parent. Needs the extra `otel`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import get_current_span

AT_MOST: Final = 1_000
"""Spans of one tree that are kept; those that come later are handed on at once."""


@dataclass
class _Tree:
    ended: list[ReadableSpan] = field(default_factory=list)
    over: bool = False


class LocalTrees(SpanProcessor):
    """`after` gets the first span of a tree before those below it: whatever part of them reaches a
    collector, each has its parent there.
    """

    def __init__(self, after: SpanProcessor) -> None:
        self._after = after
        self._trees: dict[tuple[int, int], _Tree] = {}
        """Of the spans that have begun and not ended, by trace and span."""
        self._changing = threading.Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        parent = get_current_span(parent_context).get_span_context()
        with self._changing:
            tree = self._trees.get((parent.trace_id, parent.span_id))
            self._trees[_key(span)] = tree or _Tree()
        self._after.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        with self._changing:
            tree = self._trees.pop(_key(span), None) or _Tree(over=True)
            begins = span.parent is None or span.parent.is_remote
            if not (begins or tree.over or len(tree.ended) >= AT_MOST):
                tree.ended.append(span)
                return
            tree.over = tree.over or begins
            # The latest to end stand above those before them.
            below, tree.ended = (tree.ended[::-1], []) if begins else ([], tree.ended)
        for one in (span, *below):
            self._after.on_end(one)

    def shutdown(self) -> None:
        self._after.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._after.force_flush(timeout_millis)


def _key(span: ReadableSpan) -> tuple[int, int]:
    context = span.context
    return context.trace_id, context.span_id
