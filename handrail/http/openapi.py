"""The OpenAPI document: the problems of each operation, and what the framework cannot see.

Which problems follow from what an operation takes (a body, parameters, a token, a cursor) is read
off its description. A route names the others by `problems.responses`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse

from handrail.http import idempotency
from handrail.http.api_examples import ApiExamples, in_words_of
from handrail.http.consistency import PARKED, PARKED_DESCRIPTION, TOKEN
from handrail.http.dependencies import ACTOR
from handrail.http.problem_types import ProblemType
from handrail.http.problems import MEDIA_TYPE, ProblemDetails, responses

_OF_A_BODY: Final = (
    "malformed-request",
    "body-too-large",
    "unsupported-media-type",
    "invalid-request",
)
_OF_SECURITY: Final = ("not-signed-in", "scope-missing", "sign-in-unavailable", "not-found")
"""What is of another tenant is not found, and neither is what is of none."""
_OF_PARAMETERS: Final[Mapping[tuple[str, str], Sequence[str]]] = {
    ("header", ACTOR): ["malformed-header"],
    ("header", idempotency.HEADER): ["malformed-header"],
    ("header", "last-event-id"): ["malformed-header"],
    ("header", TOKEN): ["malformed-header", "read-model-behind", "database-unavailable"],
    ("query", "cursor"): ["bad-cursor"],
    ("query", "as_of"): ["history-too-long"],
}
_ERROR: Final = 400


def mend(app: FastAPI, kinds: Mapping[str, ProblemType], examples: ApiExamples) -> None:
    """Describe our problems, and not the framework's errors, in words that OpenAPI 3.1 has.

    `kinds` are the problem types of the application, by slug, and `examples` those that the App
    shows.
    """
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = describe()
            schemas = document["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            details = ProblemDetails.model_json_schema(
                ref_template="#/components/schemas/{model}", mode="serialization"
            )
            schemas.update(details.pop("$defs"))
            schemas["ProblemDetails"] = details
            for methods in document["paths"].values():
                for operation in methods.values():
                    _describe_problems(operation, kinds)
                    _describe_parked(operation)
                    _describe_needed(operation)
            events = document["paths"]["/sagas/{saga}/events"]["get"]["responses"]["200"]
            # A schema would be of the whole text to some readers, and of each event to others.
            events["content"] = {EventSourceResponse.media_type: {}}
            app.openapi_schema = in_words_of(examples, document)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI asks for it


def _describe_problems(operation: dict[str, Any], kinds: Mapping[str, ProblemType]) -> None:
    """Those that its route names and those that follow from what it takes, in the App's words."""
    described: dict[str, Any] = operation["responses"]
    slugs = {*_named(described), *_following(operation)}
    answers = {status: said for status, said in described.items() if int(status) < _ERROR}
    problems = {str(status): said for status, said in responses(*slugs, kinds=kinds).items()}
    operation["responses"] = answers | problems


def _named(described: Mapping[str, Any]) -> Iterator[str]:
    for said in described.values():
        yield from said.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})


def _following(operation: Mapping[str, Any]) -> Iterator[str]:
    if operation.get("security"):
        yield from _OF_SECURITY
    if "requestBody" in operation:
        yield from _OF_A_BODY
    for one in operation.get("parameters", ()):
        yield "invalid-request"
        yield from _OF_PARAMETERS.get((one["in"], one["name"]), ())


def _describe_needed(operation: Mapping[str, Any]) -> None:
    """A header that a route needs, and refuses to go without in our words."""
    for one in operation.get("parameters", ()):
        schema = one.get("schema", {})
        if not schema.pop(idempotency.NEEDED, False):
            continue
        one["required"] = True
        [kept] = [each for each in schema.pop("anyOf") if each.get("type") != "null"]
        schema.update(kept)


def _describe_parked(operation: Mapping[str, Any]) -> None:
    """Whatever is read from a row says where it is parked."""
    answers = operation["responses"]
    if "200" in answers and "row-parked" in _named({"503": answers.get("503", {})}):
        answers["200"]["headers"] = {
            PARKED: {
                "description": PARKED_DESCRIPTION,
                "schema": {"type": "string", "maxLength": 40},
            }
        }
