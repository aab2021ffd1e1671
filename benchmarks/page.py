"""Writes docs/performance.md and its plots: `python -m benchmarks.page`.

The newest results of this machine are copied to docs/performance/results/ first, so that the page
can be made from the repository alone. docs/performance/notes/NAME.md, where there is one, is put
under the table of its benchmark as it is: what a profile showed.
"""

from __future__ import annotations

import shutil
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.chapters import CHAPTERS, Chapter
from benchmarks.reporting import MACHINE, Finding, Result, kept_at, read
from handrail.optional_deps import require_extra
from handrail.settings import load
from runtime.app import HANDRAIL

DOCS: Final = Path(__file__).parents[1] / "docs"
PAGE: Final = "performance.md"
FOLDER: Final = "performance"
_WIDTH: Final = 110
_ABOUT: Final = """\
What the benchmarks measured, each by the command beside it; `make bench` runs all. Whatever is
compared ran in the same run, on the same servers, with the same settings. PostgreSQL keeps its
default safety: a commit is on disk before it is answered. Values in milliseconds and a second are
of one machine; the ratios are what can be compared with others."""
_WRITTEN_BY: Final = (
    "`make performance` writes this page, from the results in `docs/performance/results`."
)
_SAID: Final = {"system": "{}", "cores": "{} cores", "memory_gb": "{} GB of memory"}


def collect(data_dir: Path, docs: Path) -> None:
    """Take over the newest results of the data folder; what was not measured there stays."""
    results = docs / FOLDER / "results"
    results.mkdir(parents=True, exist_ok=True)
    for name in CHAPTERS:
        kept = kept_at(data_dir, name)
        if kept.exists():
            shutil.copyfile(kept, results / kept.name)


def write(kept: Path, docs: Path) -> None:
    """The page, from the results and notes in the folder `kept`."""
    from benchmarks.drawing import draw  # noqa: PLC0415  # it needs the extra

    found = _results(kept)
    folder = docs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, result in found.items():
        (folder / f"{name}.svg").write_text(draw(CHAPTERS[name].plot, result.figures))
    (docs / PAGE).write_text("\n".join(_lines(found, kept / "notes")) + "\n")


def _results(kept: Path) -> Mapping[str, Result]:
    return {
        name: read(path)
        for name in CHAPTERS
        if (path := kept / "results" / f"{name}.json").exists()
    }


def _lines(found: Mapping[str, Result], notes: Path) -> Iterator[str]:
    yield f"# Performance\n\n{_wrapped(_ABOUT)}\n\n{_WRITTEN_BY}\n"
    yield from _overview(list(found.values()))
    if missing := [f"`{name}`" for name in CHAPTERS if name not in found]:
        yield _wrapped(f"Not measured: {', '.join(missing)}.")
        yield ""
    yield from _machines(list(found.values()))
    for name, result in found.items():
        yield from _chapter(result, CHAPTERS[name])
        note = notes / f"{name}.md"
        if note.exists():
            yield f"\n{note.read_text().strip()}"


def _overview(results: Sequence[Result]) -> Iterator[str]:
    findings = [(result.name, one) for result in results for one in result.held_to_goals]
    met = sum(one.met for _, one in findings)
    yield f"{met} of {len(findings)} goals are met.\n"
    yield "| benchmark | measure | value | goal | |"
    yield "|---|---|---|---|---|"
    for name, one in findings:
        yield f"| [{name}](#{name}) | `{one.measure}` | {one.shown} | {one.wanted} | {_mark(one)} |"
    yield ""


def _machines(results: Sequence[Result]) -> Iterator[str]:
    """One line where all were measured on the same, as they should be."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for result in results:
        words = (_SAID.get(name, name + " {}").format(result.config[name]) for name in MACHINE)
        alike[", ".join(words)].append(result.name)
    for said, names in alike.items():
        where = "Measured on" if len(alike) == 1 else f"{', '.join(names)} on"
        yield _wrapped(f"{where} {said}.")


def _chapter(result: Result, chapter: Chapter) -> Iterator[str]:
    name = result.name
    yield f"\n## {name}\n"
    yield _wrapped(f"**{chapter.title}.** {chapter.work}")
    yield ""
    yield f"    handrail bench {name}\n"
    yield f"![{chapter.title}]({FOLDER}/{name}.svg)\n"
    yield "| measure | value | goal | |"
    yield "|---|---|---|---|"
    for one in result.findings:
        if not isinstance(one.value, dict | list):
            yield f"| `{one.measure}` | {one.shown} | {one.wanted} | {_mark(one)} |"
    own = {key: value for key, value in result.config.items() if key not in MACHINE}
    said = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in own.items())
    yield f"\n{_wrapped(f'Configuration: {said}.')}"


def _wrapped(said: str) -> str:
    return textwrap.fill(said, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _mark(one: Finding) -> str:
    if one.goal is None:
        return ""
    return "✔" if one.met else "✘ missed"


def main() -> None:
    require_extra("bench", "matplotlib")
    collect(load(HANDRAIL.settings_type).data_dir, DOCS)
    write(DOCS / FOLDER, DOCS)


if __name__ == "__main__":
    main()
