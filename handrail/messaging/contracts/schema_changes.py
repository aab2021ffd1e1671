"""What differs between two schemas, field by field, and who can read the data of whom all the same.

The words are Confluent's. Backward: readers of the new schema read data that were written by the
old one. Forward: readers of the old schema read data that are written by the new one. A reader is
tolerant: it passes over fields it does not know, and fills in the default of a field that is
missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from handrail.messaging.contracts.schemas import Schema

_REMARKS: Final = {
    *("$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples"),
    *("deprecated", "readOnly", "writeOnly", "x-personal"),
}
_WALKED: Final = {"properties", "required", "additionalProperties", "items", "anyOf"}
_WHOLE: Final = {"allOf", "oneOf", "not", "prefixItems", "propertyNames", "patternProperties"}
_VALUES: Final = {"enum", "const"}
_LEAST: Final = {"minimum", "exclusiveMinimum", "minLength", "minItems"}
_MOST: Final = {"maximum", "exclusiveMaximum", "maxLength", "maxItems"}
_DEEPEST: Final = 40
"""References in a row, and objects in objects that are looked into: what is deeper is not."""


@dataclass(frozen=True)
class SchemaChange:
    """A difference, in words, and whether each way is open in spite of it."""

    said: str
    backward: bool
    forward: bool


def changes(old: Schema, new: Schema) -> list[SchemaChange]:
    """Empty where whatever is read by one is read by the other, with the same fields."""
    return list(_Walk(old.get("$defs", {}), new.get("$defs", {})).changes(old, new, "", 0))


@dataclass(frozen=True)
class _Walk:
    olds: Schema
    news: Schema
    under_way: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of definitions that are being compared: what holds itself ends there."""

    def changes(self, old: Schema, new: Schema, at: str, depth: int) -> Iterator[SchemaChange]:
        pair = (str(old.get("$ref", "")), str(new.get("$ref", "")))
        if pair in self.under_way:
            return
        if all(pair):
            self.under_way.add(pair)
        found = list(self._changes(old, new, at, depth))
        self.under_way.discard(pair)
        yield from found

    def _changes(self, old: Schema, new: Schema, at: str, depth: int) -> Iterator[SchemaChange]:
        old, new = _resolved(old, self.olds), _resolved(new, self.news)
        if depth > _DEEPEST:
            if old != new:
                yield SchemaChange(f"{at} differs", backward=False, forward=False)
            return
        if "anyOf" in old or "anyOf" in new:
            yield from self._of_choices(_choices(old), _choices(new), at, depth + 1)
            return
        if "properties" in old and "properties" in new:
            yield from self._of_fields(old, new, at, depth + 1)
        elif ("properties" in old or "properties" in new) and old.get("type") == new.get("type"):
            # Fields in the place of something else, such as a map: what is needed may be missing.
            said = "has other fields now" if "properties" in new else "has no fields of its own now"
            yield SchemaChange(f"{at or 'it'} {said}", backward=False, forward=False)
            return
        for nested, mark in (("items", "[]"), ("additionalProperties", ".*")):
            one, other = old.get(nested), new.get(nested)
            if isinstance(one, dict) and isinstance(other, dict):
                yield from self.changes(one, other, f"{at}{mark}", depth + 1)
            elif isinstance(one, dict) or isinstance(other, dict):
                yield SchemaChange(
                    f"{at or 'it'} holds {'other things' if other else 'anything'} now",
                    backward=not isinstance(other, dict),
                    forward=not isinstance(one, dict),
                )
        yield from _of_the_rest(_spelt(old, self.olds), _spelt(new, self.news), at)

    def _of_fields(self, old: Schema, new: Schema, at: str, depth: int) -> Iterator[SchemaChange]:
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        before, after = old["properties"], new["properties"]
        renamed = self._renamed(before, after, depth)
        for name, schema in before.items():
            path = f"{at}.{name}".lstrip(".")
            if (other := renamed.get(name)) is not None:
                yield SchemaChange(
                    f"{path} is gone, and {other} of the same type is new",
                    backward=other not in needs,
                    forward=name not in needed,
                )
            elif name not in after:
                had = "" if name in needed else ", which had a default"
                yield SchemaChange(
                    f"{path} is gone{had}", backward=True, forward=name not in needed
                )
            else:
                yield from _of_a_default(
                    path, schema, after[name], needed=name in needed, needs=name in needs
                )
                yield from self.changes(schema, after[name], path, depth)
        for name, schema in after.items():
            if name in before or name in renamed.values():
                continue
            path = f"{at}.{name}".lstrip(".")
            default = (
                "without a default" if name in needs else f"with the default {_default(schema)}"
            )
            yield SchemaChange(
                f"{path} is new, {default}", backward=name not in needs, forward=True
            )

    def _renamed(
        self, before: Mapping[str, Schema], after: Mapping[str, Schema], depth: int
    ) -> Mapping[str, str]:
        """The only field that is gone and the only new one, where they have the same schema."""
        gone, added = before.keys() - after.keys(), after.keys() - before.keys()
        if len(gone) == len(added) == 1:
            [one], [other] = gone, added
            if not list(self.changes(before[one], after[other], "", depth)):
                return {one: other}
        return {}

    def _of_choices(
        self, old: Sequence[Schema], new: Sequence[Schema], at: str, depth: int
    ) -> Iterator[SchemaChange]:
        def same(one: Schema, other: Schema) -> bool:
            return not list(self.changes(one, other, at, depth))

        lost = [one for one in old if not any(same(one, other) for other in new)]
        added = [other for other in new if not any(same(one, other) for one in old)]
        if len(lost) == len(added) == 1:
            yield from self.changes(lost[0], added[0], at, depth)
            return
        if not lost and not added:
            return
        at = at or "it"
        if not lost:
            said = f"{at} may be {_said_of(added)}, too"
        elif not added:
            said = f"{at} is {_said_of(lost)} no more"
        else:
            said = f"{at} was {_said_of(old)} and is now {_said_of(new)}"
        yield SchemaChange(
            said,
            backward=all(any(self._reads(o, n, depth)[0] for n in new) for o in lost),
            forward=all(any(self._reads(o, n, depth)[1] for o in old) for n in added),
        )

    def _reads(self, old: Schema, new: Schema, depth: int) -> tuple[bool, bool]:
        found = list(self.changes(old, new, "", depth))
        return all(one.backward for one in found), all(one.forward for one in found)


def _of_a_default(
    path: str, old: Schema, new: Schema, *, needed: bool, needs: bool
) -> Iterator[SchemaChange]:
    if needed and not needs:
        yield SchemaChange(f"{path} may be missing now", backward=True, forward=False)
    elif needs and not needed:
        yield SchemaChange(f"{path} has no default any more", backward=False, forward=True)
    elif not needs and old.get("default") != new.get("default"):
        said = f"{path} had the default {_default(old)}, and has {_default(new)} now"
        yield SchemaChange(said, backward=True, forward=True)


def _of_the_rest(old: Schema, new: Schema, at: str) -> Iterator[SchemaChange]:
    """Types, values and bounds: what stands in one schema alone."""
    ours = {key: value for key, value in old.items() if key not in _REMARKS | _WALKED}
    theirs = {key: value for key, value in new.items() if key not in _REMARKS | _WALKED}
    if ours == theirs:
        return
    at = at or "it"
    values, others = _values(ours), _values(theirs)
    if values is not None and others is not None and _but_values(ours) == _but_values(theirs):
        lost = [one for one in values if one not in others]
        more = [one for one in others if one not in values]
        parts = [f"may be {_listed(more)}, too"] if more else []
        parts += [f"is {_listed(lost)} no more"] if lost else []
        if parts:
            yield SchemaChange(f"{at} {', and '.join(parts)}", backward=not lost, forward=not more)
        return
    yield SchemaChange(
        f"{at} was {_said(ours)} and is now {_said(theirs)}",
        backward=_accepts(theirs, ours),
        forward=_accepts(ours, theirs),
    )


def _accepts(reader: Schema, writer: Schema) -> bool:
    """Whether a reader takes all values that the writer may write."""
    return _accepts_types(reader, writer) and all(
        _accepts_word(word, reader, writer) for word in reader.keys() - {"type"}
    )


def _accepts_types(reader: Schema, writer: Schema) -> bool:
    if "type" not in reader:
        return True
    known = _types(reader)
    if "number" in known:
        known.add("integer")
    return "type" in writer and _types(writer) <= known


def _accepts_word(word: str, reader: Schema, writer: Schema) -> bool:
    if word in _VALUES:
        values, written = _values(reader), _values(writer)
        return written is not None and all(one in (values or ()) for one in written)
    if word not in writer:
        return False
    if word in _LEAST:
        return bool(writer[word] >= reader[word])
    if word in _MOST:
        return bool(writer[word] <= reader[word])
    return bool(writer[word] == reader[word])


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """Raises ValueError for a reference that leads nowhere, or for ever."""
    for _ in range(_DEEPEST):
        if "$ref" not in schema:
            return schema
        name = str(schema["$ref"]).rpartition("/")[2]
        if name not in definitions:
            raise ValueError(f"{schema['$ref']} leads nowhere")
        schema = definitions[name]
    raise ValueError(f"{schema['$ref']} leads to itself")


def _spelt(schema: Schema, definitions: Schema) -> Schema:
    """With the definitions in the place of references, in what is compared as a whole."""

    def of(value: Any, depth: int) -> Any:
        if isinstance(value, dict) and depth < _DEEPEST:
            found = _resolved(value, definitions)
            return {key: of(one, depth + 1) for key, one in found.items() if key not in _REMARKS}
        return [of(one, depth + 1) for one in value] if isinstance(value, list) else value

    return {key: of(value, 0) if key in _WHOLE else value for key, value in schema.items()}


def _choices(schema: Schema) -> Sequence[Schema]:
    found: Sequence[Schema] = schema.get("anyOf", [schema])
    return found


def _types(schema: Schema) -> set[str]:
    said = schema["type"]
    return set(said) if isinstance(said, list) else {said}


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _but_values(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in _VALUES}


def _default(schema: Schema) -> str:
    return repr(schema["default"]) if "default" in schema else "of its reader"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(repr, values))


def _said(schema: Schema) -> str:
    """`string`, `string (date)`, `'a', 'b'`."""
    if (values := _values(schema)) is not None:
        return _listed(values)
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kind = " or ".join(sorted(_types(schema))) if "type" in schema else "anything"
    more = [
        str(value) if key == "format" else f"{key} {value}"
        for key, value in sorted(schema.items())
        if key not in {"type", *_REMARKS, *_WALKED}
    ]
    return f"{kind} ({', '.join(more)})" if more else kind


def _said_of(schemas: Sequence[Schema]) -> str:
    return " or ".join(map(_said, schemas))
