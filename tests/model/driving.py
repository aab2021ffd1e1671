"""Activities, run by hand: the real coroutines stop before each thing they do to the world."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

Deed = str
"""What an activity does next: `load`, `append`, or `bank`."""


@types.coroutine
def pause(deed: Deed) -> Generator[Deed, None, None]:
    """Before a deed; in a coroutine that nobody drives, as in the contract tests, nothing waits."""
    if _driven:
        yield deed


class CutShort(Exception):
    """The activity died: what it had done stays, and nobody hears of it."""


_driven: list[None] = []
CHANGES = frozenset({"append", "bank"})


def drive(
    story: Coroutine[Any, Any, Any],
    settle: Callable[[], None],
    *,
    cut_after: int | None = None,
    between: Callable[[int], None] | None = None,
) -> tuple[Any, tuple[Deed, ...]]:
    """Run an activity to its end; what it returned, and its deeds.

    `cut_after` is the number of deeds after which it dies, even where it has just done the last of
    them: CutShort is raised. `between` is called before each deed, with how many came before.
    """
    deeds: list[Deed] = []
    _driven.append(None)
    try:
        while True:
            try:
                came = story.send(None)
            except StopIteration as over:
                if cut_after is not None:
                    raise CutShort from None
                return over.value, tuple(deeds)
            if isinstance(came, asyncio.Future):
                settle()  # a pause that lets others go first: it is over at once
                continue
            if cut_after is not None and len(deeds) >= cut_after:
                story.close()
                raise CutShort
            if between:
                _driven.append(None)
                try:
                    between(len(deeds))
                finally:
                    _driven.pop()
            deeds.append(came)
    finally:
        _driven.pop()
