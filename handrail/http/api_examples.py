"""What the OpenAPI document shows of a business in the operations that the library brings along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import orjson

Body = Mapping[str, Any]
"""An example of a body, as JSON."""


@dataclass(frozen=True, kw_only=True)
class ApiExamples:
    """Examples in the words of a business. What it leaves out is shown in neutral words.

    `path` is the path of some request, and `problem` the slug of some problem. `streams` says which
    streams there are. The others are bodies of interventions: a step that is asked again, corrected
    and resolved, and one in many sagas; and a webhook endpoint that is registered.
    """

    path: str = "/sagas/saga-1"
    problem: str = "not-found"
    streams: str = (
        "Oldest first. A stream is `category-id`: that of the saga `trip-1` is `saga-trip-1`."
    )
    retry: Body = field(
        default_factory=lambda: {
            "id": "int-7",
            "kind": "retry",
            "step": "BookFlight",
            "actor": "ops@example.com",
            "reason": "their system is back",
        }
    )
    correct: Body = field(
        default_factory=lambda: {
            "id": "int-8",
            "kind": "correct",
            "step": "BookFlight",
            "correction": {"flight": "flight-2"},
            "reason": "the first one was called off",
        }
    )
    resolve: Body = field(
        default_factory=lambda: {
            "id": "int-9",
            "kind": "resolve",
            "step": "BookFlight",
            "evidence": "booked by telephone, number 4711, see ticket 88",
            "reason": "their system is down until Monday",
        }
    )
    retry_many: Body = field(
        default_factory=lambda: {
            "filter": {"step": "BookFlight", "failure": "503"},
            "kind": "retry",
            "reason": "their system is back",
            "dry_run": True,
        }
    )
    webhook_endpoint: Body = field(
        default_factory=lambda: {
            "url": "https://example.org/events",
            "events": ["context.ThingHappened.v1"],
        }
    )


NEUTRAL: Final = ApiExamples()
"""What stands in the library's models and routes, until `in_words_of` puts others in its place."""


def in_words_of(examples: ApiExamples, document: Any) -> Any:
    """The document with these examples in the place of the neutral ones."""
    said = [
        # In the order in which pydantic writes examples.
        (neutral, orjson.loads(orjson.dumps(own, option=orjson.OPT_SORT_KEYS)))
        for one in fields(ApiExamples)
        if (neutral := getattr(NEUTRAL, one.name)) != (own := getattr(examples, one.name))
    ]
    return _replaced(document, said) if said else document


def _replaced(value: Any, said: list[tuple[Any, Any]]) -> Any:
    for neutral, own in said:
        if value == neutral:
            return own
    match value:
        case dict():
            return {name: _replaced(one, said) for name, one in value.items()}
        case list():
            return [_replaced(one, said) for one in value]
        case _:
            return value
