"""The word by which a business calls its tenant, and the names that follow from it.

An App says it once (`App(tenant="team")`), and every part that shows or stores the tenant is handed
the word: the search attribute `Team`, the query parameter and JSON member `team`, the option
`--team`, the attribute `ce-team`, the columns `team` of the saga board and of the lake, the problem
`too-many-for-team`, and the key under which events and their metadata name the tenant.
"""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, get_type_hints

from handrail.kernel import TenantId

TENANT_WORD: Final = "tenant"
"""The word of a business that says none."""
STORED_WORD: Final = "merchant"
"""The word under which every App stored its tenant before an App could say its own: what was stored
so is read for ever, whatever the App says now.
"""
_FORM: Final = re.compile(r"[a-z][a-z0-9]{0,19}")
_TAKEN: Final = frozenset(
    {
        # columns of the saga board and of the lake, members of JSON, keys of the metadata
        *("saga", "shape", "attempt", "actor", "status", "step", "direction", "cause", "decision"),
        *("because", "reason", "currency", "waiting", "version", "timeline", "links", "position"),
        *("id", "stream", "type", "schema", "context", "day", "data", "metadata", "code", "run"),
        *("correlation", "causation", "traceparent", "steps", "repeats", "input", "failure"),
        # attributes of a CloudEvent, query parameters, options
        *("specversion", "source", "subject", "time", "datacontenttype", "dataschema"),
        *("streamversion", "limit", "cursor", "wide", "json", "help", "filter", "key", "alone"),
        *("streams", "closes", "supersedes"),
    }
)


_VERSIONS: Final = 1_000
"""Versions that a read model may come to have with one word."""
_WORDS: Final = 2_000_000
"""So many words have versions of their own, all of which fit into 32 bits."""


class Marker:
    """Stands in the annotation of a field whose name in JSON is a word of the App."""


TENANT_FIELD: Final = Marker()
"""Marks the field that holds the tenant."""
StoredTenant = Annotated[TenantId, TENANT_FIELD]
"""The type of a stored field that holds the tenant: its JSON has the App's word as its key."""


def wrong_with(word: str) -> str | None:
    """Why a tenant cannot be called so; None where it can."""
    if not _FORM.fullmatch(word):
        return "must be 1 to 20 small letters and digits, a letter first"
    if word in _TAKEN:
        return "is the name of something else beside it"
    return None


def search_attribute(word: str) -> str:
    """The name of the search attribute: `Tenant`."""
    return word.capitalize()


def too_many(word: str) -> str:
    """The slug of the problem of a tenant that has too many sagas under way."""
    return f"too-many-for-{word}"


@cache
def tenant_fields(cls: type) -> frozenset[str]:
    """The names of a dataclass's fields that store the tenant."""
    hints = get_type_hints(cls, include_extras=True)
    return frozenset(
        one.name
        for one in dataclasses.fields(cls)
        if TENANT_FIELD in getattr(hints[one.name], "__metadata__", ())
    )


def key_of(cls: type, field: str, word: str) -> str:
    """The key in JSON of a dataclass's field, where the tenant is called `word`."""
    return word if field in tenant_fields(cls) else field


def version_with(version: int, word: str) -> int:
    """The version of a read model that has the word in it: with another word it is another one, and
    the read model is built anew.
    """
    if word == STORED_WORD:
        return version
    return version + _VERSIONS * (1 + zlib.crc32(word.encode()) % _WORDS)


def tenant_in(stored: Mapping[str, Any], word: str) -> Any:
    """The tenant that stored JSON names by the word, or as it was stored before; or None."""
    return stored[word] if word in stored else stored.get(STORED_WORD)
