"""The page of settings, `docs/settings.md`, as `handrail settings` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo

from handrail.refused_settings import BAD_SETTINGS, variable
from handrail.secret_files import FILE, secrets_of
from handrail.settings import Settings


def settings_table(settings: type[Settings]) -> str:
    """The Markdown page of these settings, as `handrail settings` prints it."""
    schemas = settings.model_json_schema()["properties"]
    rows = [
        f"| `{variable(name)}` | {_values(schemas[name])} | {_default(field)} "
        f"| {field.description}{_as_file(name, settings)} |"
        for name, field in settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "All of them are environment variables. A process with a wrong one ends at once, with",
            f"exit code {BAD_SETTINGS} and a line that names it. A secret may stand in a file that",
            "a second variable names; see `secrets.md`. This page is the output of",
            "`handrail settings`.",
            "",
            "| variable | value | default | meaning |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def _as_file(name: str, settings: type[Settings]) -> str:
    if name not in secrets_of(settings) or name.endswith("_file"):
        return ""
    return f" In a file: `{variable(name)}{FILE}`."


def _values(schema: Mapping[str, Any]) -> str:
    schema = next(iter(schema.get("anyOf", [schema])))
    if choices := schema.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    words = {"integer": "whole number", "number": "seconds", "array": "list", "string": "text"}
    words["boolean"] = "`true`, `false`"
    return str(schema.get("format", words[schema["type"]]))


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return "unset"
    value = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
    return f"`{value}`" if value != "" else "empty"
