"""`make release-drill`: two releases side by side under load, forth, back and forth again."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console

from handrail.dev.supervisor import free_port
from handrail.terminal_tables import Column, Table
from runtime.settings import ShopSettings
from tests.release_drill import findings
from tests.release_drill.balancer import balanced
from tests.release_drill.deployment import apply_topology, drain, levels, promote
from tests.release_drill.fleet import Fleet, Servers, ended, fleet, migrate
from tests.release_drill.load import Load
from tests.release_drill.releases import CHANGES, ROOT, Release, build

_SHARE: Final = 0.4
"""Of the orders a second that one release alone decides."""
_AT_ONCE: Final = 16
_SLOWER: Final = 1.5
"""The 95th percentile while releases are exchanged may be so many times that of before."""


@dataclass
class Drill:
    """Runs the phases; `beat` seconds is the length of each."""

    servers: Servers
    old: Fleet
    new: Fleet
    load: Load
    beat: float
    console: Console
    said: dict[str, Any] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        await self.old.start()
        await promote(self.servers, self.old.release)
        self.old.serve()
        await self.load.seed()
        fastest = await self._fastest()
        pace = fastest * _SHARE
        self.said["orders_per_second"] = {"fastest": round(fastest, 2), "pace": round(pace, 2)}
        self.console.print(f"{self._clock()} {fastest:.1f} orders a second; pace: {pace:.1f}")
        self.load.answers.clear()
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.load.keep(pace, stop))
            try:
                await self._exchange()
            finally:
                stop.set()

    async def _fastest(self) -> float:
        """Orders a second until all have arrived: most of their work comes after the decision, and
        a pace that leaves it behind ends in a jam.
        """
        self._phase("measuring")
        began = time.monotonic()
        await self.load.press(self.beat / 2, _AT_ONCE)
        arrived = await findings.delivered(self.servers.database_url, self.load.orders())
        return arrived / (time.monotonic() - began)

    async def _exchange(self) -> None:
        await self._for_a_beat("before")
        await self._bring_up("beside")
        await self._kill(self.old, "worker-1")
        await self._for_a_beat("beside")
        await self._kill(self.new, "projector")
        await self._for_a_beat("beside")
        self._phase("back")
        await self.new.stop()
        await self._for_a_beat("back")
        await self._bring_up("forth")
        await self._kill(self.new, "relay")
        await promote(self.servers, self.new.release)
        await self._for_a_beat("forth")
        self.old.serving.remove(self.old.url)
        await drain(self.servers, self.old.release, by=self.new.release)
        await self.old.stop()
        await self._kill(self.new, "worker-1")
        await self._for_a_beat("after")
        await self._for_a_beat("after")
        self.said["levels"] = await levels(self.servers, self.new.release)

    async def _bring_up(self, phase: str) -> None:
        self._phase(phase)
        await migrate(self.servers, self.new.release)
        await apply_topology(self.servers, self.new.release)
        await self.new.start()
        self.new.serve()

    async def _kill(self, of: Fleet, name: str) -> None:
        self.console.print(f"{self._clock()} {of.release.name}: {name} is killed, and starts again")
        await of.kill_and_start(name)

    async def _for_a_beat(self, phase: str) -> None:
        self._phase(phase)
        await asyncio.sleep(self.beat)

    def _phase(self, name: str) -> None:
        if name != self.load.phase:
            self.console.print(f"{self._clock()} {_PHASES[name]}")
        self.load.phase = name

    def _clock(self) -> str:
        return f"{time.monotonic() - self._began:4.0f} s"


_PHASES: Final = {
    "measuring": "the old release alone, as fast as it can",
    "before": "the old release alone, at the pace",
    "beside": "the new release comes beside it",
    "back": "the new release is taken back",
    "forth": "the new release comes again, and the old one drains",
    "after": "the new release alone",
}
_DURING: Final = ("beside", "back", "forth")


async def drill(old: Release, new: Release, folder: Path, beat: float, console: Console) -> Any:
    """The figures of one drill; `beat` as in `Drill`."""
    serving: list[str] = []
    port = free_port()
    settings = ShopSettings(
        data_dir=folder, api_port=0, webhook_target_url=f"http://127.0.0.1:{port}"
    )
    async with balanced(serving, port), Servers(old, settings, folder / "servers") as servers:
        older, newer = (fleet(servers, one, serving, folder) for one in (old, new))
        async with ended(older, newer):
            load = Load(serving, "drill")
            run = Drill(servers, older, newer, load, beat, console)
            await run.run()
            url = servers.database_url
            sagas = await findings.sagas(url, load.orders())
            parked = await findings.parked(url)
            written = await findings.written(url)
            said = await findings.proof(servers, new)
    before, during = load.p95(["before"]), load.p95(_DURING)
    return {
        **run.said,
        "requests": len(load.answers),
        "failed": dict(load.failed()),
        "sagas": sagas.asked,
        "completed": sagas.completed,
        "turned_back": len(sagas.turned_back),
        "parked": len(sagas.parked),
        "unended": len(sagas.unended),
        "events_parked": list(parked),
        "written": written,
        "proof": said,
        "p95_ms": {
            "before": round(before),
            "during": round(during),
            "after": round(load.p95(["after"])),
        },
        "p95_ratio": round(during / before, 2) if before else None,
    }


def judged(found: Mapping[str, Any]) -> Sequence[tuple[str, str, bool]]:
    """Each demand: what was found, and whether it is met."""
    proof = found["proof"].get("invariants", found["proof"])
    broken = [name for name, holds in proof.items() if holds is False]
    return [
        ("requests failed", f"{sum(found['failed'].values())} of {found['requests']}",
         not found["failed"]),
        ("sagas turned back or parked", f"{found['turned_back']} and {found['parked']}",
         not found["turned_back"] and not found["parked"]),
        ("sagas completed", f"{found['completed']} of {found['sagas']}",
         found["completed"] == found["sagas"] > 0),
        ("events written in the older and the newer forms",
         f"{min(found['written'].values())} or more of each", all(found["written"].values())),
        ("events parked", str(len(found["events_parked"])), not found["events_parked"]),
        ("invariants broken, rebuilt rows among them", ", ".join(broken) or "0", not broken),
        ("p95 during against before",
         f"{found['p95_ratio']} times: {found['p95_ms']['during']} ms, {found['p95_ms']['before']}",
         (found["p95_ratio"] or 0) <= _SLOWER),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="make release-drill", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="about how long it runs")
    parser.add_argument("--old", default="HEAD", help="the revision of the old release")
    parser.add_argument("--new", default="HEAD", help="the revision that the changes apply to")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    asked = parser.parse_args()
    console = Console(stderr=asked.json, highlight=False)
    (ROOT / "var").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="release-drill-", dir=ROOT / "var"))
    with console.status("building two releases"):
        old = build("old", asked.old, folder / "old")
        new = build("new", asked.new, folder / "new", CHANGES)
    found = asyncio.run(drill(old, new, folder, asked.seconds / 10, console))
    rows = judged(found)
    table = Table((Column(""), Column("demand"), Column("found", kind="text")))
    for what, said, met in rows:
        table.add("✓" if met else "✗", what, said)
    table.print(console)
    for said, count in found["failed"].items():
        console.print(f"{count} times {said}", markup=False)
    good = all(met for *_, met in rows)
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"Logs and data are kept in {folder}", markup=False)
    if asked.json:
        print(orjson.dumps(found).decode())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
