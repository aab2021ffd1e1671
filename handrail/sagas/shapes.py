"""Saga shapes: in which shape a saga begins, while workers of two releases run.

A process-wide value, which the sign of life of the process refreshes
(`handrail/eventstore/write_levels.py`): a saga begins in the newest shape that every live worker
knows, whichever release its starter is of. Nothing is kept beyond that: a saga that has begun
carries its shape in its input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass
class SagaShapes:
    """`newest` has the newest shape that this code knows, by type of saga; `workers` those that
    each live worker knows.
    """

    newest: Mapping[str, int]
    workers: Sequence[Mapping[str, int]] = ()

    def of(self, saga_type: str) -> int:
        """The shape in which a saga of this type begins now. A worker that names no shape of it,
        as one of a release that did not yet, sets no bound.
        """
        known = (one[saga_type] for one in self.workers if saga_type in one)
        return min([self.newest.get(saga_type, 0), *known])
