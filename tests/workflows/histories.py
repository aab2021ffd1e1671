"""Records the histories that later code has to replay: `python -m tests.workflows.histories`.

One file for each saga, shape and ending. A file is never changed: whoever changes a saga's steps
raises its shape, and new files appear beside the old ones, which stay until no saga of the old
shape runs any more.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from handrail.dev.temporal import FLAGS, search_attributes, server_program
from handrail.migrations import upgrade
from handrail.testing.failure import SOON
from handrail.testing.trial import Trial, a_trial
from runtime.app import HANDRAIL
from tests.workflows.harness.cases import CASES
from tests.world import open_world

FOLDER: Final = Path(__file__).parent / "histories"
SUFFIX: Final = ".json"


async def completed(trial: Trial) -> None:
    await trial.starts()


async def compensated(trial: Trial) -> None:
    trial.refuses(trial.subject.saga.pivot_step.name)
    await trial.starts()


async def parked_and_resumed(trial: Trial) -> None:
    """At the pivot, which every saga has."""
    step = trial.subject.saga.pivot_step.name
    trial.fails(step)
    await trial.starts()
    await trial.parks(step)
    trial.recovers(step)
    await trial.is_told("retry", step)


async def turned_back(trial: Trial) -> None:
    """As `compensated`, by an engine that asks the stream whether there is a way back."""
    await compensated(trial)


async def resumed(trial: Trial) -> None:
    """As `parked_and_resumed`, by an engine that records an intervention in its update."""
    await parked_and_resumed(trial)


STORIES: Final[Mapping[str, Callable[[Trial], Awaitable[None]]]] = {
    story.__name__: story
    for story in (completed, compensated, parked_and_resumed, turned_back, resumed)
}


def path_of(saga: str, story: str) -> Path:
    return FOLDER / f"{saga}-{HANDRAIL.saga_types[saga].example().shape}-{story}{SUFFIX}"


async def record() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            EmbeddedPostgres(Path(folder)) as postgres,
            await WorkflowEnvironment.start_time_skipping_v2(
                dev_server_existing_path=server_program(),
                dev_server_extra_args=FLAGS,
                dev_server_log_level="error",
                search_attributes=search_attributes(HANDRAIL.tenant),
            ) as temporal,
        ):
            await asyncio.to_thread(upgrade, postgres.url, "handrail_app")
            async with open_world(postgres.url, temporal) as world, world.at_work():
                for saga in HANDRAIL.saga_types:
                    for story, told in STORIES.items():
                        if path_of(saga, story).exists():
                            continue
                        trial = await a_trial(world, CASES[saga], "local", {}, patience=SOON)
                        async with trial:
                            await told(trial)
                            await trial.ends()
                        history = await trial.handle.fetch_history()
                        write(path_of(saga, story), history.to_json_dict())


def write(path: Path, history: dict[str, Any]) -> None:
    """Without who worked on it and where: hosts and folders, which mean nothing elsewhere."""
    path.write_text(json.dumps(_without_places(history), separators=(",", ":")) + "\n")


PLACES: Final = frozenset({"identity", "stackTrace"})


def _without_places(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_places(one) for key, one in value.items() if key not in PLACES}
        case list():
            return [_without_places(one) for one in value]
        case _:
            return value


if __name__ == "__main__":
    asyncio.run(record())
