"""What is collected stays to the end: the garbage collector is not to walk through it all again."""

from __future__ import annotations

import gc


def pytest_sessionstart() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()
