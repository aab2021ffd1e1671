"""FieldPolicy: the bounds of a business's command fields, and which of them may be corrected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from handrail.bounds import Bound


@dataclass(frozen=True, kw_only=True)
class FieldPolicy:
    """What `handrail.command_fields` has to know of fields whose types do not say it.

    A name means the same in every command, so all is kept by name. Without a policy no field may
    be corrected, and only types of the library have bounds.
    """

    bounds: Mapping[str, Bound] = field(default_factory=dict)
    """Of values and lists, by the field's name."""
    nested: Mapping[tuple[str, str], Bound] = field(default_factory=dict)
    """Where the same name means something else inside a certain field: (that field, the name)."""
    ids: Mapping[Any, Bound] = field(default_factory=dict)
    """Types that identify what a command is about, which is never corrected."""
    answers: frozenset[str] = frozenset()
    """Fields that hold the answer of another company, which is never corrected."""
    correctable: frozenset[str] = frozenset()
    """Fields that a person may correct: what is not here moves something of value, or is not known
    yet. A field that holds Money may never be corrected.
    """
