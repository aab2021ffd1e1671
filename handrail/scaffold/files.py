"""Files that are written together: none of them may be there before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class Exists(Exception):
    """A file that would be written is there already."""


def write_new(folder: Path, texts: Mapping[str, str]) -> None:
    """Write each text to its path in the folder. Raises Exists before anything is written."""
    for path in texts:
        if (folder / path).exists():
            raise Exists(f"{folder / path} is there already: take another name, or move it away")
    for path, text in texts.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
