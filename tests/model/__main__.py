"""`make model`: runs the whole plan on two processes, and tells how many schedules there were."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Final

from tests.model.plan import WHOLE as SAGAS
from tests.model.plan import Part
from tests.model.plans import plan as plans

WHOLE: Final[Sequence[Part | plans.Part]] = (*SAGAS, *plans.WHOLE)
WIDTH: Final = 30


def main() -> int:
    began, done, states, ways, ends = time.monotonic(), 0, 0, 0, 0
    broken: list[str] = []
    with ProcessPoolExecutor(2) as pool:
        running = {pool.submit(_run, part): part for part in WHOLE}
        for future in as_completed(running):
            part, (found, seconds) = running[future], future.result()
            done, states, ways, ends = (
                done + 1,
                states + found[0],
                ways + found[1],
                ends + found[2],
            )
            broken += [f"{part.shape}, {part.name}: {said}" for said in found[3]]
            _show(done, len(WHOLE), f"{states:,} states", f"{len(broken)} broken")
            if not sys.stdout.isatty():
                print(
                    f"{part.name} of {part.shape}: {found[0]:,} states, {seconds:.0f} s", flush=True
                )
    _show(done, len(WHOLE), "", "\n")
    for said in broken:
        print(f"\n{said}")
    took = time.monotonic() - began
    print(
        f"{ways:,} moves to {states:,} states and {ends:,} ends of schedules, in {took:.0f} s: "
        f"{len(broken) or 'no'} law{'' if len(broken) == 1 else 's'} broken"
    )
    return 1 if broken else 0


def _run(part: Part | plans.Part) -> tuple[tuple[int, int, int, list[str]], float]:
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    began = time.monotonic()
    found = part.run()
    said = [str(one) for one in found.broken]
    return (found.states, found.ways, found.ends, said), time.monotonic() - began


def _show(done: int, of: int, *said: str) -> None:
    if sys.stdout.isatty():
        full = WIDTH * done // of
        print(f"\r[{'#' * full}{'.' * (WIDTH - full)}] {done}/{of} {' · '.join(said)}", end="")


if __name__ == "__main__":
    sys.exit(main())
