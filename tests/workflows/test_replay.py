"""Sagas that began with older code go on with this one: their histories replay."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from runtime.app import HANDRAIL
from tests.temporal import DATA_CONVERTER, SANDBOX
from tests.workflows.histories import FOLDER, STORIES, SUFFIX, path_of

SAVED = sorted(FOLDER.glob(f"*{SUFFIX}"))


def replayer() -> Replayer:
    return Replayer(
        workflows=HANDRAIL.all_workflows, data_converter=DATA_CONVERTER, workflow_runner=SANDBOX
    )


def saved(path: Path) -> str:
    return path.read_text()


@pytest.mark.parametrize(("saga", "story"), list(product(HANDRAIL.saga_types, STORIES)))
def test_there_is_a_history_of_every_saga_in_its_present_shape(saga: str, story: str) -> None:
    assert path_of(saga, story).exists(), "run: make histories"


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
async def test_a_saved_history_replays(path: Path) -> None:
    await replayer().replay_workflow(WorkflowHistory.from_json(path.stem, saved(path)))


async def test_a_history_in_which_a_step_is_missing_does_not_replay() -> None:
    """So the test above can fail."""
    document = json.loads(saved(path_of("Checkout", "completed")))
    marked = [one for one in document["events"] if "markerRecordedEventAttributes" in one]
    document["events"].remove(marked[1])
    for number, event in enumerate(document["events"], start=1):
        event["eventId"] = str(number)
    with pytest.raises((NondeterminismError, RuntimeError)):
        await replayer().replay_workflow(WorkflowHistory.from_json("changed", document))
