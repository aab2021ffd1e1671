"""The tutorial, done step by step in an empty folder, from the wheel, in a fresh environment."""

from __future__ import annotations

import difflib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.request import urlopen

import psutil
import psycopg
import pytest

from handrail.dev.supervisor import free_port
from tests.journeys.terminal import Terminal
from tests.journeys.tutorial import PAGE, ROOT, Run, Shows, Write, steps

AT_MOST: Final = 60
"""Lines of Python that the newcomer writes by hand."""
KILL: Final = 'kill -9 "$(cat worker.pid)"'
SMALL: Final = [f"rome-{n}" for n in range(1, 21)]
STEPS: Final = {
    *("HoldSeat", "HoldRoom", "RequestApproval", "ConfirmSeat", "ConfirmRoom", "AnnounceSeat"),
}
CONFIRMED: Final = {
    "seat": ["SeatHeld", "SeatConfirmed", "SeatAnnounced"],
    "room": ["RoomHeld", "RoomConfirmed"],
}

pytestmark = pytest.mark.journey


@dataclass
class Walk:
    """What was seen on the way. `events` are all of the store, in its order, at the end."""

    seconds: float = 0.0
    said: list[tuple[str, str]] = field(default_factory=list)
    written: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By the path of a file, what the command wrote and what the newcomer made of it."""
    ended_when_killed: set[str] = field(default_factory=set)
    exit_code_of_the_worker: str = ""
    workflow: Any = None
    events: Sequence[tuple[str, str, Mapping[str, Any]]] = ()

    def after(self, command: str) -> str:
        """What a step printed, by a command in it."""
        [said] = [said for commands, said in self.said if command in commands]
        return said

    def types(self, stream: str) -> list[str]:
        return [type_ for name, type_, _ in self.events if name == stream]


@pytest.fixture(scope="module")
def empty_folder() -> Iterator[Path]:
    """Open to every user: started by root, PostgreSQL runs as another one."""
    with TemporaryDirectory(prefix="newcomer-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def walk(empty_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = empty_folder
    environment = _of_a_newcomer(_wheel(tmp_path_factory.mktemp("wheel")))
    with (
        Terminal(folder, environment) as first,
        Terminal(folder, environment) as servers,
        Terminal(folder, environment) as worker,
    ):
        terminals = {"": first, "servers": servers, "worker": worker}
        try:
            walk = _walked(folder, terminals, int(environment["HANDRAIL_API_PORT"]))
        except AssertionError as failed:
            failed.add_note(
                "\n".join(f"{n}:\n{one.printed[-3000:]}" for n, one in terminals.items())
            )
            raise
        yield walk


def _wheel(folder: Path) -> Path:
    how = ("--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *how, "--wheel-dir", folder, ROOT], check=True
    )
    [built] = folder.glob("*.whl")
    return built


def _of_a_newcomer(wheel: Path) -> Mapping[str, str]:
    """Without this environment and its settings; the port of the API is a free one."""
    ours = str(Path(sys.executable).parent)
    path = [one for one in os.environ["PATH"].split(os.pathsep) if one != ours]
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("HANDRAIL_", "PYTEST_", "PYTHON", "VIRTUAL_ENV"))
    }
    return {
        **kept,
        "PATH": os.pathsep.join(path),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_QUIET": "1",
        "COLUMNS": "100",
        "WHEEL": str(wheel),
        "HANDRAIL_API_PORT": str(free_port()),
    }


def _walked(folder: Path, terminals: Mapping[str, Terminal], port: int) -> Walk:
    walk, project = Walk(), folder / "trips"
    begun = time.monotonic()
    page = PAGE.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    for step in steps(page):
        match step:
            case Write(path=path, text=text):
                file = project / path
                walk.written[path] = (file.read_text(), text)
                file.write_text(text)
            case Run(terminal="", commands=commands):
                if KILL in commands:
                    _is_ours(int((project / "worker.pid").read_text()), terminals["worker"])
                walk.said.append((commands, terminals[""].run(commands)))
                if KILL in commands:
                    walk.ended_when_killed = _ended(_events(project))
                    said = terminals["worker"].begin('echo "it ended with $?."\n', until=".\n")
                    walk.exit_code_of_the_worker = said.rpartition(" ")[2]
            case Run(commands=commands, terminal=name, until=until):
                terminals[name].begin(commands, until)
            case Shows(lines=lines):
                _is_shown(lines, terminals[""], *walk.said[-1])
    walk.seconds = time.monotonic() - begun
    [ui] = re.findall(r"^Temporal UI +(\S+)$", terminals["servers"].printed, re.MULTILINE)
    walk.workflow = _json(f"{ui}/api/v1/namespaces/default/workflows/paris")
    walk.events = _events(project)
    return walk


def _is_ours(pid: int, terminal: Terminal) -> None:
    assert terminal.pid in {one.pid for one in psutil.Process(pid).parents()}


def _is_shown(lines: Sequence[str], terminal: Terminal, commands: str, said: str) -> None:
    """A page says what will be shown in the end: until then, what only looks is asked again."""
    looks = commands.splitlines()[-1] + "\n"
    deadline = time.monotonic() + 120
    while missing := [line for line in lines if _plain(line) not in _plain(said)]:
        assert looks.startswith("handrail sagas "), f"{commands} does not print {missing}:\n{said}"
        assert time.monotonic() < deadline, f"{commands} never prints {missing}, but:\n{said}"
        said = terminal.run(looks)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _events(project: Path) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
    """The stream, type and data of every event in the store of the running servers."""
    url = json.loads((project / "var/stack.lock").read_text())["database_url"]
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT stream, type, data FROM events ORDER BY position"
        ).fetchall()


def _ended(events: Sequence[tuple[str, str, Mapping[str, Any]]]) -> set[str]:
    return {stream.removeprefix("saga-") for stream, type_, _ in events if type_ == "SagaEnded"}


def _json(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)


def test_the_saga_and_its_failures_take_few_lines(
    walk: Walk, record_testsuite_property: Callable[[str, object], None]
) -> None:
    by_hand = [
        line
        for before, after in walk.written.values()
        for line in difflib.ndiff(before.splitlines(), after.splitlines())
        if line.startswith("+ ") and line[2:].strip()
    ]
    record_testsuite_property("lines_by_hand", len(by_hand))
    record_testsuite_property("seconds", round(walk.seconds))
    assert 0 < len(by_hand) <= AT_MOST


def test_every_failure_was_run_at_every_step(walk: Walk) -> None:
    said = walk.after("make test")
    assert re.search(r"^saga coverage 100\.0 %: (\d+) of \1 cells were run$", said, re.MULTILINE)
    assert "never run:" not in said
    reported = re.findall(r"^  (\w+) +\d+/\d+ ", said, re.MULTILINE)
    assert set(reported) >= STEPS
    assert " failed" not in said


def test_the_worker_was_killed_in_the_middle_of_sagas(
    walk: Walk, record_testsuite_property: Callable[[str, object], None]
) -> None:
    assert walk.exit_code_of_the_worker == "137"
    unfinished = {"paris", "lima", *SMALL} - walk.ended_when_killed
    record_testsuite_property("sagas_in_the_middle", len(unfinished))
    assert {"paris", "lima"} <= unfinished


@pytest.mark.parametrize("trip", ["paris", *SMALL])
def test_a_trip_that_outlives_its_worker_is_made_exactly_once(walk: Walk, trip: str) -> None:
    for context, types in CONFIRMED.items():
        assert walk.types(f"{context}-{trip}") == types
    ends = [
        data for name, type_, data in walk.events if (name, type_) == (f"saga-{trip}", "SagaEnded")
    ]
    assert [data["ending"] for data in ends] == ["completed"]


def test_a_cancelled_trip_is_taken_back_as_a_whole(walk: Walk) -> None:
    streams = {context: walk.types(f"{context}-lima") for context in ("seat", "room", "approval")}
    assert streams == {
        "seat": ["SeatHeld", "SeatReleased"],
        "room": ["RoomHeld", "RoomReleased"],
        "approval": ["ApprovalRequested", "ApprovalAbandoned"],
    }
    assert Counter(walk.types("saga-lima"))["SagaEnded"] == 1


def test_the_ui_of_temporal_has_the_saga(walk: Walk) -> None:
    info = walk.workflow["workflowExecutionInfo"]
    assert (info["type"]["name"], info["status"]) == (
        "BookTrip",
        "WORKFLOW_EXECUTION_STATUS_COMPLETED",
    )


def test_the_stores_agree(walk: Walk) -> None:
    assert "✗" not in walk.after("handrail verify")
