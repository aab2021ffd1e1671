"""What a benchmark runs on: a folder of its own, and a stack that logs little."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handrail.dev.stack import Stack
from handrail.settings import Settings
from runtime.app import HANDRAIL


@contextmanager
def scratch_folder(settings: Settings) -> Iterator[Path]:
    """A folder on the disk of the data, as long as the block lasts."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=settings.data_dir) as folder:
        yield Path(folder)


def quiet_stack(settings: Settings, folder: Path, **chosen: Any) -> Stack:
    """The shop's stack with its data in the folder; `chosen` are settings that differ."""
    changed = {"api_port": 0, "log_level": "warning", **chosen}
    return Stack(HANDRAIL, settings.model_copy(update=changed), data_dir=folder, temporal_ui=False)
