"""What a newcomer reads first is complete and true: decisions, concepts, contributing, licence."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
EACH_LINE = re.MULTILINE
OTHERS = ["Temporal", "Seata", "Axon", "MassTransit", "NServiceBus"]


def test_each_decision_stands_in_the_index_under_its_own_title() -> None:
    indexed = re.findall(
        r"^\| \[(.+)\]\((.+)\) \|", (DECISIONS / "README.md").read_text(), re.MULTILINE
    )
    pages = [
        (page.read_text().splitlines()[0].removeprefix("# "), page.name)
        for page in DECISIONS.glob("[0-9]*.md")
    ]
    assert sorted(indexed, key=lambda one: one[1]) == sorted(pages, key=lambda one: one[1])


def test_each_decision_is_said_in_one_line() -> None:
    rows = [
        line
        for line in (DECISIONS / "README.md").read_text().splitlines()
        if line.startswith("| [")
    ]
    assert [row for row in rows if not re.fullmatch(r"\| .+ \| .+\. \|", row)] == []


def test_each_concept_has_a_meaning_and_a_cell_for_each_of_the_others() -> None:
    tables = [
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines()]
        for part in re.findall(
            r"(?:^\|.*\n)+", (ROOT / "docs/concepts.md").read_text(), re.MULTILINE
        )
    ]
    assert tables
    for head, _, *rows in tables:
        assert head == ["here", "in one sentence", *OTHERS]
        assert [row for row in rows if len(row) != len(head) or not all(row)] == []


def test_every_target_that_a_document_names_can_be_made() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), EACH_LINE))
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        named = set(re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text(), EACH_LINE))
        assert named <= targets, page


def test_the_licence_is_the_one_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    text = (ROOT / "LICENSE").read_text()
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text
    assert "Apache-2.0: [LICENSE](LICENSE)" in (ROOT / "README.md").read_text()


def test_the_image_is_built_from_what_the_package_needs() -> None:
    assert re.search(
        r"^COPY pyproject.toml .*\bLICENSE\b", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
