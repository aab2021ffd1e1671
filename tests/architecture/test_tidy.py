"""What a reader may count on in every file."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = (
    "handrail",
    "domain",
    "workflows",
    "activities",
    "projections",
    "consumers",
    "api",
    "runtime",
)
LONGEST = 500  # lines; a domain file fits a screen or two, and most others should
STARTED_BY_NAME = {
    "handrail/dev/spawn.py",  # between fork and exec
    "handrail/cli/main.py",  # the console script
    "handrail/cli/sagas.py",  # `handrail sagas`, which loads it when it is asked for
    "handrail/testing/plugin.py",  # pytest, with -p
    "runtime/payouts_cli.py",  # `handrail payouts`, likewise
    "runtime/demo/command.py",  # `handrail demo`
    "handrail/cli/approve.py",  # `handrail approve`
    "handrail/cli/blame.py",  # `handrail blame`
    "handrail/cli/contract_commands.py",  # `handrail contracts`
    "handrail/cli/consumers.py",  # `handrail consumers`
    "handrail/cli/database.py",  # `handrail database`
    "handrail/cli/deploy.py",  # `handrail deploy`
    "handrail/cli/events.py",  # `handrail events`
    "handrail/cli/lake.py",  # `handrail lake`
    "handrail/cli/new.py",  # `handrail new`
    "handrail/cli/notifications.py",  # `handrail notifications`
    "handrail/cli/payload_keys.py",  # `handrail payload-keys`
    "handrail/cli/projections.py",  # `handrail projections`
    "handrail/cli/relay.py",  # `handrail relay`
    "handrail/cli/restore.py",  # `handrail restore`
    "handrail/cli/topology.py",  # `handrail topology`
    "handrail/cli/webhook_endpoints.py",  # `handrail webhook-endpoints`
    "handrail/migrations/env.py",  # Alembic
    "handrail/projections/paging.py",  # the earlier address of `handrail/paging.py`
}


def _tracked(*suffixes: str) -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if name.endswith(suffixes) and (ROOT / name).exists():
            yield ROOT / name


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in _tracked(".py")
        if (lines := len(path.read_text().splitlines())) > LONGEST
    }

    assert not long


def test_nothing_is_left_for_later_in_the_code() -> None:
    # In quotes it is a currency: ISO 4217 calls none so.
    words = re.compile(r"(?<![\"'`])\b(TO" + "DO|FIX" + "ME|X" + r"XX)\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _tracked(".py", ".sql", ".md", ".yml", ".toml")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if words.search(line)
    ]

    assert not found


@pytest.mark.thorough
def test_every_module_is_used_by_another() -> None:
    imported: set[str] = set()
    for path in _tracked(".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=names):
                    imported |= {alias.name for alias in names}
                case ast.ImportFrom(module=str(module), names=names):
                    imported |= {module, *(f"{module}.{alias.name}" for alias in names)}
                case _:
                    pass
    unused = [
        name
        for path in _tracked(".py")
        if (name := str(path.relative_to(ROOT))).startswith(CODE)
        and path.name != "__init__.py"
        and name not in STARTED_BY_NAME
        and "/versions/" not in name
        and name.removesuffix(".py").replace("/", ".") not in imported
    ]

    assert not unused


def test_every_link_in_the_docs_leads_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in _tracked(".md")
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text())
        if not (path.parent / target).exists()
    ]

    assert not broken


OF_A_TEAM = (ROOT / "examples/trips", ROOT / "examples/trips/tutorial")
"""Projects, whose paths the documents name as a team sees them."""


def test_every_path_that_the_docs_name_exists() -> None:
    tops = "|".join((*CODE, "tests", "docs", "benchmarks", "examples", "shared"))
    folder = rf"(?:{tops})/[\w./*-]+"
    file = r"[\w./*-]+/[\w.*-]+\.(?:py|sql|md|yml|toml)"
    named = re.compile(rf"`({folder}|{file})`")
    missing = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in _tracked(".md")
        for target in named.findall(path.read_text())
        if not any(list(at.glob(target.rstrip("/"))) for at in (ROOT, path.parent, *OF_A_TEAM))
    ]

    assert not missing
