"""How the processes that run the tests share the files, so that none is left with much at the end.

Folder by folder, since what a folder sets up is taken down when the next begins; and in it the
files of few tests first, which are the long ones.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

# To start a broker takes as long as to run what needs one: a single process does.
NEED_A_BROKER: Final = (
    "tests/console/test_dead_messages.py",
    "tests/console/test_sealed_dead_messages.py",
    "tests/messaging/broker/",
    "tests/messaging/consumers/test_broker.py",
    "tests/messaging/consumers/test_consuming.py",
    "tests/messaging/consumers/test_federation.py",
    "tests/messaging/consumers/test_newer_code.py",
    "tests/messaging/notifications/test_end_to_end.py",
    "tests/messaging/relay/",
)
LONGEST: Final = "tests/workflows/"


class ByFile(LoadFileScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "who needs a broker" if file.startswith(NEED_A_BROKER) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile | None:
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # which begins with many tests, and ends with long ones
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return
    tests = Counter(item.path for item in items)

    def place(item: pytest.Item) -> tuple[bool, bool, str, int]:
        if item.nodeid.startswith(NEED_A_BROKER):
            return (False, False, "", 0)
        folder = str(item.path.parent)
        return (True, not item.nodeid.startswith(LONGEST), folder, tests[item.path])

    items.sort(key=place)
