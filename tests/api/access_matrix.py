"""Every operation of the API, asked by every kind of caller, as a page: who is let in where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

PAGE: Final = Path(__file__).parents[2] / "docs" / "access-matrix.md"
_METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})
_OF_ACCESS: Final = {"not-signed-in": "401", "scope-missing": "403"}
_BODY: Final = {"no-such-field": 1}
"""Wrong for every operation: whoever is let in gets no further than that."""


@dataclass(frozen=True)
class Operation:
    """`scopes` are what its description says it needs; None: it is public."""

    method: str
    path: str
    scopes: frozenset[str] | None

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def address(self) -> str:
        """With ids of nothing that exists."""
        return re.sub(r"\{(\w+)\}", lambda one: _EXAMPLES.get(one[1], "no-such"), self.path)


_EXAMPLES: Final[Mapping[str, str]] = {"source": "carrier", "stream": "order-no-such"}


def operations(document: Mapping[str, Any]) -> Sequence[Operation]:
    """Of an OpenAPI document."""
    found = []
    for path, methods in document["paths"].items():
        for method in sorted(_METHODS & methods.keys()):
            security = methods[method].get("security")
            scopes = frozenset(security[0]["bearer"]) if security else None
            found.append(Operation(method, path, scopes))
    return found


async def seen(api: httpx.AsyncClient, one: Operation, headers: Mapping[str, str]) -> str:
    """`in` where the caller gets past access, else the status."""
    writes = one.method in {"put", "post", "patch"}
    answer = await api.request(
        one.method, one.address, headers=headers, json=_BODY if writes else None
    )
    if answer.headers.get("content-type") == "application/problem+json":
        slug = answer.json()["type"].rpartition("/")[2]
        if slug in _OF_ACCESS:
            assert str(answer.status_code) == _OF_ACCESS[slug], answer.text
            assert answer.headers["WWW-Authenticate"].startswith("Bearer "), answer.headers
            return _OF_ACCESS[slug]
    assert answer.status_code < 500 or "webhook" in answer.text, answer.text
    return "in"


def page(callers: Sequence[str], rows: Mapping[Operation, Sequence[str]]) -> str:
    """Markdown."""
    lines = [
        "# Who is let in where",
        "",
        "What `tests/api/test_access_matrix.py` has seen of a real API: each operation of the",
        "OpenAPI document, asked by each kind of caller. `in`: it gets past access. Written by",
        "`HANDRAIL_WRITE_MATRIX=1 .venv/bin/python -m pytest tests/api/test_access_matrix.py`.",
        "",
        f"| operation | needs | {' | '.join(callers)} |",
        f"|---|---|{'---|' * len(callers)}",
    ]
    for one, found in rows.items():
        needs = "public" if one.scopes is None else " ".join(sorted(one.scopes))
        lines.append(f"| `{one}` | {needs} | {' | '.join(found)} |")
    return "\n".join(lines) + "\n"
