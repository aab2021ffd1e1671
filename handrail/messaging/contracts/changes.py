"""Changes of events as files: a page with a line for each, and what each makes of an example.

The file of a change is a pair of facts: an event of the older form with what it is read as, and
one of the newer form with what older readers get. It is written once, and compared for ever after,
so that a change that is taken out or bent is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from handrail.eventstore.codec import Codec
from handrail.evolution.changes import Change, EventRenamed, EventRetired, EventSplit, NewVersion
from handrail.evolution.fields import FieldRenamed
from handrail.evolution.forms import CannotBeLowered, Data, Form, Piece
from handrail.kernel import Event, context_of
from handrail.messaging.contracts.compatibility import breaks
from handrail.messaging.contracts.examples import example_of
from handrail.messaging.contracts.schemas import Described, Schema, name_of, schema_of

PAGE: Final = "changes.md"
_HEAD: Final = """# Changes of events

Written by `handrail contracts --write` from `App.evolutions`.

"""


@dataclass(frozen=True)
class Said:
    """What is wrong with a file; `breaking` where writing it again would hide it."""

    file: str
    said: str
    breaking: bool


@dataclass(frozen=True)
class ChangeFiles:
    """The files about changes in the folder of contracts."""

    folder: Path
    events: Sequence[type[Event]]
    described: Described

    @property
    def codec(self) -> Codec:
        return self.described.codec

    def differences(self) -> Iterator[Said]:
        known = {self._file(change): change for change in self._changes}
        for file in sorted(self.folder.glob("changes/*.json")):
            if file not in known:
                yield Said(self._name(file), "there is no such change any more: put it back", True)
        for file, change in known.items():
            yield from self._of_forms(change)
            if file.exists():
                yield from self._of_facts(file, change)
            elif self._old_file(change.old) is not None:
                yield self._of_missing(file, change)
        page = self.folder / PAGE
        if (page.read_text() if page.exists() else "") != self.page():
            yield Said(PAGE, "is not what the code says", breaking=False)

    def write(self) -> None:
        """The page, and the facts of new changes: those of others stay as they are."""
        for change in self._changes:
            file = self._file(change)
            if not file.exists() and self._old_file(change.old) is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                indented = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
                file.write_bytes(orjson.dumps(self._facts(change), option=indented))
        page, text = self.folder / PAGE, self.page()
        if text:
            page.write_text(text)
        else:
            page.unlink(missing_ok=True)

    def page(self) -> str:
        """A line for each change, by event; empty where there is none."""
        if not self._changes:
            return ""
        lines = ["| event | becomes | what changes | lost for older readers |", "|---|---|---|---|"]
        for one in sorted(self._changes, key=lambda change: (change.old.name, change.old.version)):
            becomes = ", ".join(f"`{form}`" for form in one.new)
            lost = ", ".join(f"`{name}`" for name in one.loses) or "nothing"
            if not one.can_be_lowered:
                lost = "they knew it before"
            lines.append(f"| `{one.old}` | {becomes} | {'; '.join(one.said())} | {lost} |")
        return _HEAD + "\n".join(lines) + "\n"

    @property
    def _changes(self) -> Sequence[Change]:
        """Those of events: commands have no files."""
        names = {form.name for one in self.events for form in self.codec.forms(one.__name__)}
        return [one for one in self.codec.changes if one.old.name in names]

    def _of_forms(self, change: Change) -> Iterator[Said]:
        old = self._old_file(change.old)
        if old is None:
            yield Said(
                f"events/*/{_stem(change.old)}.json",
                f"is missing, and {change.marker} says that events were stored in it: take it from"
                " the release that wrote it; where none did, make both changes one version",
                breaking=True,
            )
            return
        yield from self._of_missing_fields(change, old)
        new = self._schema_of(change.new[0])
        if new is None or not isinstance(change, NewVersion | EventRenamed):
            return
        was = orjson.loads(old.read_bytes())
        # Definitions of both, for the fields of either refer to their own.
        if broken := breaks(schema_after(change, was, new), new):
            yield Said(
                self._name(old),
                f"{'; '.join(broken)}: {change.marker} does not say so; add it to the change",
                breaking=True,
            )

    def _of_missing_fields(self, change: Change, file: Path) -> Iterator[Said]:
        """Fields with a default may be missing in events that were stored before these fields."""
        schema = orjson.loads(file.read_bytes())
        needed = schema.get("required", ())
        for example in schema["examples"]:
            for name in example.keys() - set(needed):
                less = {key: value for key, value in example.items() if key != name}
                try:
                    change.lift(less)
                    self.codec.decode_all(change.old.name, change.old.version, less)
                except Exception as error:  # noqa: BLE001  # a conversion may raise anything
                    yield Said(
                        self._name(file),
                        f"{name} may be missing in stored events, and {change.marker} raises"
                        f" {error!r} for one without it: let the way up do without it",
                        breaking=True,
                    )

    def _of_missing(self, file: Path, change: Change) -> Said:
        try:
            self._facts(change)
        except Exception as error:  # noqa: BLE001  # the functions of a change may raise anything
            return self._of_raised(file, change, error)
        return Said(self._name(file), "is missing", breaking=False)

    def _of_raised(self, file: Path, change: Change, error: Exception) -> Said:
        said = f"{change.marker} raises {error!r} for the example of {change.old}: mend it first"
        return Said(self._name(file), said, breaking=True)

    def _of_facts(self, file: Path, change: Change) -> Iterator[Said]:
        facts = orjson.loads(file.read_bytes())
        try:
            lifted = _shown(change.lift(facts["old"]["example"]))
            new = [_piece(one) for one in facts["new"]["example"]]
            lowered = change.lower(new) if new and change.can_be_lowered else None
        except Exception as error:  # noqa: BLE001  # the functions of a change may raise anything
            yield self._of_raised(file, change, error)
            return
        if lifted != facts["old"]["lifted"]:
            yield Said(
                self._name(file),
                f"{change.old} is stored, and is read as something else than it was: mend the way"
                f" up of {change.marker}",
                breaking=True,
            )
        if lowered != facts["new"]["lowered"]:
            yield Said(
                self._name(file),
                f"{change.old} is not what older readers got: mend the way down of {change.marker}",
                breaking=True,
            )

    def _facts(self, change: Change) -> Schema:
        [file] = [self._old_file(change.old)]
        assert file is not None  # it was looked at
        [example, *_] = orjson.loads(file.read_bytes())["examples"]
        new = self._example(change)
        lowered = change.lower(new) if new and change.can_be_lowered else None
        return {
            "change": str(change.marker),
            "said": list(change.said()),
            "loses": list(change.loses),
            "old": {
                "form": str(change.old),
                "example": example,
                "lifted": _shown(change.lift(example)),
            },
            "new": {"example": _shown(new), "lowered": lowered},
        }

    def _example(self, change: Change) -> Sequence[Piece]:
        """Of the newer forms, from examples of their classes; empty where one has none."""
        found = []
        for form in change.new:
            for event in self.events:
                newest = Form(event.__name__, self.codec.version(event.__name__))
                example = example_of(event, self.described.examples, self.codec.tenant)
                adapter = self.codec.adapter(event)
                data: Data = orjson.loads(adapter.dump_json(example, by_alias=True))
                try:
                    found.append((form, self.codec.lower(newest, data, form)))
                except CannotBeLowered:
                    continue
                break
        return found if len(found) == len(change.new) else ()

    def _schema_of(self, form: Form) -> Schema | None:
        for event in self.events:
            if Form(event.__name__, self.codec.version(event.__name__)) == form:
                return schema_of(event, self.described)
        file = self._old_file(form)
        return None if file is None else dict(orjson.loads(file.read_bytes()))

    def _old_file(self, form: Form) -> Path | None:
        return next(iter(self.folder.glob(f"events/*/{_stem(form)}.json")), None)

    def _file(self, change: Change) -> Path:
        return self.folder / "changes" / f"{_stem(change.marker)}.json"

    def _name(self, file: Path) -> str:
        return file.relative_to(self.folder).as_posix()


def schema_after(change: NewVersion | EventRenamed, old: Schema, new: Schema) -> Schema:
    """The older schema with the change done to it: what did not change is as it was, and what did
    is as the newer one says.
    """
    properties: dict[str, Any] = dict(old["properties"])
    required = set(old.get("required", ()))
    for one in change.fields if isinstance(change, NewVersion) else ():
        moved = [properties.pop(name) for name in one.old if name in properties]
        renamed = isinstance(one, FieldRenamed) and bool(moved)
        for name in one.new:
            properties[name] = moved[0] if renamed else new["properties"].get(name, {})
            if name in new.get("required", ()):
                required.add(name)
        required -= set(one.old) - set(one.new)
    definitions = {**new.get("$defs", {}), **old.get("$defs", {})}
    return {**old, "properties": properties, "required": sorted(required), "$defs": definitions}


@dataclass(frozen=True)
class Deprecated:
    """An older form that may still be published."""

    form: Form
    context: str
    becomes: str
    schema: Schema


def deprecated_forms(
    events: Sequence[type[Event]], described: Described
) -> Mapping[str, Deprecated]:
    """The older forms of these events, by name and version as in `CreditHeld.v1`."""
    lineages = described.codec.lineages
    classes = {one.__name__: one for one in events}
    found: dict[str, Deprecated] = {}

    def schema(form: Form) -> Schema:
        change = lineages.after.get(form)
        if change is None:
            return schema_of(classes[form.name], described) if form.name in classes else {}
        return schema_before(change, schema(change.new[0]))

    for event in events:
        for form in lineages.forms(event.__name__):
            if change := lineages.after.get(form):
                becomes = ", ".join(f"{one.name}.v{one.version}" for one in change.new)
                said = Deprecated(form, context_of(event), becomes, schema(form))
                found.setdefault(_stem(form), said)
    return found


def schema_before(change: Change, new: Schema) -> Schema:
    """The older form's schema, as far as it follows from the newer one."""
    if isinstance(change, EventSplit | EventRetired):
        return {"type": "object"}
    properties: dict[str, Any] = dict(new.get("properties", {}))
    required = set(new.get("required", ()))
    for one in reversed(change.fields if isinstance(change, NewVersion) else ()):
        moved = [properties.pop(name, {}) for name in one.new]
        required -= set(one.new)
        renamed = isinstance(one, FieldRenamed)
        for name in one.old:
            properties[name] = moved[0] if renamed else {}
            required.add(name)
    return {"type": "object", "properties": properties, "required": sorted(required)}


def _stem(form: Form) -> str:
    return name_of(form.name, form.version)


def _shown(pieces: Sequence[Piece]) -> list[Schema]:
    return [{"type": form.name, "schema": form.version, "data": data} for form, data in pieces]


def _piece(shown: Schema) -> Piece:
    return Form(shown["type"], shown["schema"]), shown["data"]
