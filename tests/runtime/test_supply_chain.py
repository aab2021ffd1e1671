"""What the image installs is pinned by hashes, is in a bill of materials, and is used."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.conftest import ROOT
from tests.runtime.image import locked

BIN = Path(sys.executable).parent


def command_of(target: str, tool: str) -> list[str]:
    """The command by which a target of the Makefile runs a tool."""
    [rules] = re.findall(
        rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    [line] = [one for one in rules.splitlines() if tool in one]
    return shlex.split(line.strip().removeprefix("@").replace("$(BIN)", str(BIN)))


@pytest.mark.thorough
def test_the_bill_of_materials_names_every_locked_package_with_its_hashes(tmp_path: Path) -> None:
    *command, _out = command_of("sbom", "cyclonedx-py")
    file = tmp_path / "handrail.cdx.json"
    subprocess.run([*command, str(file)], cwd=ROOT, check=True, capture_output=True)
    bill = json.loads(file.read_text())
    named = {one["name"]: one["externalReferences"][0]["hashes"] for one in bill["components"]}
    assert set(named) == locked("requirements-run.lock")
    assert all(one["alg"] == "SHA-256" for hashes in named.values() for one in hashes)
    assert all(named.values())
    assert bill["metadata"]["component"]["name"] == "handrail"


@pytest.mark.thorough
def test_every_declared_package_is_used_and_every_used_one_declared() -> None:
    done = subprocess.run(
        command_of("check", "deptry"), cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-run.lock"])
def test_every_locked_package_has_hashes(lock: str) -> None:
    pinned = re.split(r"^(?=[\w.-]+==)", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    without = [one.partition(" ")[0] for one in pinned if "--hash=sha256:" not in one]
    assert not without
