"""A module from a text, as a release would have it: its name is the same in each."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest


def module_of(
    source: str, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "release"
) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(source)
    module = ModuleType(name)
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(source, path, "exec"), module.__dict__)
    return module
