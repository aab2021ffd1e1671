"""Names of what is scaffolded: letters, digits, underscores, as Python and PostgreSQL take."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from typing import Final

LONGEST: Final = 20
"""Characters, so that no line that is written becomes longer than the formatter allows."""
_FORM: Final = re.compile(r"[a-z]+(_?[a-z0-9]+)*")
_TAKEN: Final = frozenset(
    {
        *("activities", "api", "app", "asked", "at", "codec", "command", "connection", "consumers"),
        *("context", "contexts", "dataclass", "datetime", "decide", "demo", "event", "evolve"),
        *("found", "fresh", "handle", "handler", "handrail", "happened", "hold", "key", "kind"),
        *(
            "matches",
            "other",
            "projections",
            "psycopg",
            "pytest",
            "quantity",
            "received",
            "replace",
        ),
        *("request", "row", "row_of", "saga", "sagas", "schema", "select", "serve", "settings"),
        *("state", "status", "store", "table", "test", "tests", "updated_at", "uuid4"),
        *(
            "business_of",
            "case_of",
            "reduce",
            "events",
            "begun",
            "one_of",
            "read_model",
            "confirmed",
        ),
        *("released", "said", "many", "refused", "release", "data", "one", "an_input", "too_large"),
        *("actor", "router", "routes", "services", "start", "started"),
    }
)
"""Names that the written modules use themselves."""


class WrongName(ValueError):
    """Nothing can be written under this name: the sentence says why."""


def checked(name: str) -> str:
    """The name, where a module can have it. Raises WrongName."""
    if not name.isascii() or len(name) > LONGEST or not _FORM.fullmatch(name):
        raise WrongName(
            f"{name!r} is no name for a module: use small letters, digits and single underscores,"
            f" a letter first, at most {LONGEST} characters"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise WrongName(f"{name} is a keyword of Python: take another name")
    if name in sys.stdlib_module_names or name in sys.builtin_module_names:
        raise WrongName(f"{name} is a module of Python: take another name")
    if name in _TAKEN or hasattr(builtins, name):
        raise WrongName(f"{name} has a meaning in the modules that are written: take another name")
    return name


def class_name(name: str) -> str:
    """`rent_bike` is the class RentBike."""
    return "".join(word.capitalize() for word in name.split("_"))


def slug(name: str) -> str:
    """`rent_bike` is `rent-bike` in paths and scopes."""
    return name.replace("_", "-")
