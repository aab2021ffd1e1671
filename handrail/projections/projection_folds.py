"""What the folds of projections do, as digests: of rows that were kept, and of those of a release.

A projection's version is raised by hand, for it has a read model built anew. What follows from the
code says where that was forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import MAGIC_NUMBER
from typing import Any, Final

from handrail.eventstore.codec import Codec
from handrail.eventstore.folds.code_digest import CodeDigest
from handrail.eventstore.folds.fold_revision import add_events, packages_of
from handrail.projections.projection import Projection

_MADE_BY: Final = "made-by"


def revision_of_rows(projection: Projection[Any], codec: Codec) -> str:
    """Two processes have the same one where they fold the same events to the same row."""
    kept = projection.__dict__.get("_revision")
    if kept is None or kept[0] is not codec:
        digest = _of(projection, packages_of(codec, (projection.evolve,)))
        add_events(digest, codec, projection.handles)
        kept = projection.__dict__["_revision"] = (codec, digest.hexdigest())
    return str(kept[1])


def _of(projection: Projection[Any], packages: Iterable[str]) -> CodeDigest:
    digest = CodeDigest(frozenset(packages))
    digest.add((projection.evolve, projection.adds, projection.categories))
    digest.add(sorted(one.__name__ for one in projection.handles))
    digest.add([(one.name, str(one.type)) for one in fields(projection.row)])
    digest.add(
        [
            (str(one.key), str(one.name), str(one.type), one.nullable, one.primary_key)
            for one in projection.table.columns
        ]
    )
    return digest


@dataclass(frozen=True)
class Written:
    """A projection as a file has it."""

    version: int
    digest: str


def lines_of(projections: Iterable[Projection[Any]], codec: Codec) -> str:
    """The content of the file: a line for each, and which Python made the code."""
    packages = packages_of(codec)
    lines = [f"{_MADE_BY} {MAGIC_NUMBER.hex()}"]
    lines += [
        f"{one.name} {one.version} {_of(one, packages).hexdigest()}"
        for one in sorted(projections, key=lambda one: one.name)
    ]
    return "\n".join([*lines, ""])


def mistakes(written: str, now: str, command: str) -> Sequence[str]:
    """A sentence for each projection whose fold is another one than the file has at its version.

    Where another version of Python made the file, only versions are compared. `command` is what
    writes the file.
    """
    before, after = _read(written), _read(now)
    alike = written.splitlines()[:1] == now.splitlines()[:1]
    found = []
    for name, one in after.items():
        was = before.get(name)
        if was is None or one.version > was.version:
            found.append(f"{name} is at version {one.version}: write that with {command}")
        elif one.version < was.version:
            found.append(f"{name} was at version {was.version}: a version is never lowered")
        elif alike and one.digest != was.digest:
            found.append(
                f"the fold of {name} changed: raise its version, so that its rows are built anew;"
                f" or, where they stay as they are, write the digest with {command}"
            )
    return found + [
        f"{name} is gone: write that with {command}" for name in before.keys() - after.keys()
    ]


def _read(text: str) -> Mapping[str, Written]:
    rows = (line.split() for line in text.splitlines() if not line.startswith(_MADE_BY))
    return {name: Written(int(version), digest) for name, version, digest in rows}
