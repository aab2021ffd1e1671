"""Whether a schema may take the place of another under the same version.

It may where both ways are open: the events that were written by the old one can be read by those
who know the new one, and the events of the new one by those who know only the old one and pass
over what they do not know. What is left to add is a field that has a default. Everything else
needs a new version, which a change in `App.evolutions` makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from handrail.messaging.contracts.schemas import Schema

_REMARKS: Final = {
    "$schema",
    "$id",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
    "x-personal",
}
_FIELDS: Final = {"properties", "required", "additionalProperties"}


def breaks(old: Schema, new: Schema) -> list[str]:
    """What would break, one line for each field; empty where nothing does."""
    return list(_breaks(old, new, old.get("$defs", {}), new.get("$defs", {}), ""))


def _breaks(old: Any, new: Any, olds: Schema, news: Schema, at: str) -> Iterator[str]:
    old, new = _followed(old, olds), _followed(new, news)
    if "properties" in old and "properties" in new:
        yield from _of_fields(old, new, olds, news, at)
    elif "items" in old and "items" in new:
        yield from _breaks(old["items"], new["items"], olds, news, f"{at}[]")
    elif "anyOf" in old and "anyOf" in new and len(old["anyOf"]) == len(new["anyOf"]):
        for one, other in zip(old["anyOf"], new["anyOf"], strict=True):
            yield from _breaks(one, other, olds, news, at)
    ours = {key: value for key, value in old.items() if key not in _REMARKS | _FIELDS}
    theirs = {key: value for key, value in new.items() if key not in _REMARKS | _FIELDS}
    for nested in ("items", "anyOf"):
        if nested in ours and nested in theirs and _same_length(ours[nested], theirs[nested]):
            del ours[nested], theirs[nested]
    if ours != theirs:
        yield f"{at or 'it'} was {_said(ours)} and is now {_said(theirs)}"


def _of_fields(old: Schema, new: Schema, olds: Schema, news: Schema, at: str) -> Iterator[str]:
    needed, needs = set(old.get("required", ())), set(new.get("required", ()))
    for name, field in old["properties"].items():
        path = f"{at}.{name}".lstrip(".")
        if name not in new["properties"]:
            yield f"{path} is gone, and readers may need it"
            continue
        if name in needed - needs:
            yield f"{path} may be missing now, and readers may need it"
        if name in needs - needed:
            yield f"{path} has no default any more, and events without it were written"
        yield from _breaks(field, new["properties"][name], olds, news, path)
    for name in new["properties"].keys() - old["properties"].keys():
        if name in needs:
            path = f"{at}.{name}".lstrip(".")
            yield f"{path} is new and has no default: events without it were written"


def _followed(schema: Schema, definitions: Schema) -> Schema:
    if "$ref" in schema:
        return dict(definitions[schema["$ref"].rpartition("/")[2]])
    return schema


def _same_length(one: Any, other: Any) -> bool:
    return not isinstance(one, list) or len(one) == len(other)


def _said(schema: Schema) -> str:
    words = [f"{key} {value}" for key, value in sorted(schema.items())]
    return ", ".join(words) or "anything"
