"""The code of workflows in memory, made from what Temporal recorded where it is not there yet."""

from __future__ import annotations

from typing import Final

from tests.model.plans.process import Process
from tests.model.plans.state import Instance

KEPT: Final = 300


class Codes:
    def __init__(self, without: frozenset[str] = frozenset()) -> None:
        self._without = without
        self._kept: dict[tuple[str, int], Process] = {}

    def of(self, instance: Instance) -> Process:
        """As it is once it has heard all of the log."""
        key = (instance.begun.id, instance.digest)
        if (known := self._kept.get(key)) is not None:
            return known
        if len(self._kept) > KEPT:
            self._kept.clear()
        before = (instance.begun.id, instance.before)
        code = self._kept.pop(before, None) if instance.log else None
        if code is None:
            code = Process(instance.begun, without=self._without)
            for at, entry in instance.log:
                code.hear_at(at, entry)
        else:
            code.hear_at(*instance.log[-1])
        self._kept[key] = code
        return code
