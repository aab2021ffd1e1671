"""The OpenAPI document: well formed, complete, and its examples are true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.openapi.models import OpenAPI
from pydantic import TypeAdapter

from api import applications, contacts, customers, merchants, payouts, plans, returns
from api.orders import routes, validation
from handrail.http import problems
from handrail.http.problems import MEDIA_TYPE, ProblemDetails
from handrail.http.routes import (
    bulk_intervention_request,
    bulk_interventions,
    consumers,
    interventions,
    parked_events,
)
from runtime.app import HANDRAIL

EXAMPLED: list[Any] = [
    validation.NewOrder,
    customers.NewLimit,
    contacts.NewContact,
    merchants.NewMerchant,
    merchants.Delivery,
    routes.CancelOrder,
    plans.PayAll,
    plans.Move,
    returns.NewReturn,
    applications.NewApplication,
    payouts.NewRun,
    payouts.RunSteered,
    interventions.NewIntervention,
    interventions.NewAnswer,
    interventions.NewAttempt,
    interventions.NewCancellation,
    bulk_intervention_request.NewInterventionInMany,
    bulk_interventions.NewStop,
    consumers.Settling,
    consumers.Discarding,
    parked_events.Retrying,
]


@pytest.fixture(scope="module")
async def schema(api: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await api.get("/openapi.json")).json()
    return found


def walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from walk(one)


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_it_is_an_openapi_document(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    OpenAPI.model_validate(schema)


def test_a_body_is_described_in_the_words_of_its_version(schema: dict[str, Any]) -> None:
    bodies = [node["content"] for node in walk(schema) if isinstance(node.get("content"), dict)]
    assert bodies
    for body in bodies:
        for described in body.values():
            assert set(described) <= {"schema", "example", "examples"}


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    references = {node["$ref"] for node in walk(schema) if isinstance(node.get("$ref"), str)}
    assert references
    for reference in references:
        found = schema
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def test_every_schema_is_used(schema: dict[str, Any]) -> None:
    used = {node["$ref"].rsplit("/")[-1] for node in walk(schema) if "$ref" in node}
    assert used == set(schema["components"]["schemas"])


def test_every_operation_is_described(schema: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in schema["tags"]}
    ids = [operation["operationId"] for _, _, operation in operations(schema)]
    assert len(ids) == len(set(ids))
    for method, path, operation in operations(schema):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert set(operation["tags"]) <= tags, where
        declared = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert declared == set(re.findall("{(.*?)}", path)), where


def test_every_error_is_a_problem_with_an_example(schema: dict[str, Any]) -> None:
    for method, path, operation in operations(schema):
        for status, answer in operation["responses"].items():
            if int(status) < 400:
                continue
            [(media_type, content)] = answer["content"].items()
            assert media_type == MEDIA_TYPE, (method, path, status)
            for slug, example in content["examples"].items():
                details = ProblemDetails.model_validate(example["value"])
                assert details.status == HANDRAIL.problem_types[slug].status == int(status)


def test_whoever_writes_says_how_it_may_fail(schema: dict[str, Any]) -> None:
    for method, path, operation in operations(schema):
        if method in {"post", "put"}:
            assert {"422", "503"} <= set(operation["responses"]), path
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= set(operation["responses"]), path


FOLLOWING = {
    ("query", "cursor"): "bad-cursor",
    ("query", "as_of"): "history-too-long",
    ("header", "Handrail-Token"): "read-model-behind",
    ("header", "Handrail-Actor"): "malformed-header",
    ("header", "Idempotency-Key"): "malformed-header",
}


@pytest.mark.parametrize("parameter", FOLLOWING, ids=lambda one: one[1])
def test_what_an_operation_takes_says_how_it_may_fail(
    schema: dict[str, Any], parameter: tuple[str, str]
) -> None:
    takes = [
        operation
        for _, _, operation in operations(schema)
        if parameter in {(one["in"], one["name"]) for one in operation.get("parameters", [])}
    ]
    assert takes
    for operation in takes:
        answers = operation["responses"].values()
        shown = {
            slug
            for answer in answers
            for slug in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
        }
        assert {FOLLOWING[parameter], "invalid-request"} <= shown, operation["operationId"]


@pytest.mark.parametrize("model", EXAMPLED, ids=lambda model: model.__name__)
def test_the_examples_are_valid(model: Any) -> None:
    examples = model.model_json_schema()["examples"]
    assert examples
    for example in examples:
        TypeAdapter(model).validate_python(example)


def test_the_example_of_an_answer_is_valid() -> None:
    [answer] = problems.responses("not-found").values()
    example = answer["content"][MEDIA_TYPE]["examples"]["not-found"]["value"]
    ProblemDetails.model_validate(example)
