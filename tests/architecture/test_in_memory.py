"""The folder in memory in which the databases of tests live."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import in_memory

KILLED = """
import os, sys
from pathlib import Path
from tests.servers.in_memory import a_folder
with a_folder(Path(sys.argv[1])) as folder:
    (folder / "data").write_text("much")
    os.kill(os.getpid(), 9)
"""


def folders(memory: Path) -> set[Path]:
    return {one for one in memory.iterdir() if one.is_dir()}


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(tmp_path: Path) -> None:
    with in_memory.a_folder(tmp_path) as used:
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
        assert len(folders(tmp_path)) == 2
        with in_memory.a_folder(tmp_path) as mine:
            assert folders(tmp_path) == {used, mine}
    assert not folders(tmp_path)


def test_where_memory_has_no_room_it_is_among_the_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_memory, "ROOM", 2**62)
    with in_memory.a_folder(tmp_path) as folder:
        assert folder.parent != tmp_path
