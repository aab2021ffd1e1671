"""Every no has the same form, a page of its own, and a place in the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain import errors as business
from handrail import errors
from handrail.errors import DomainError
from handrail.http.problems import of_rule, pointer_to
from runtime.app import HANDRAIL
from tests.api.shop import problem

KINDS = HANDRAIL.problem_types
PAGE = Path(__file__).parents[2] / "docs" / "http-api.md"


async def test_an_unknown_address(api: httpx.AsyncClient) -> None:
    found = problem(await api.get("/nowhere"), 404, "not-found")
    assert found["instance"] == "/nowhere"


async def test_a_slash_too_many(api: httpx.AsyncClient) -> None:
    problem(await api.get("/orders/"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("DELETE", "/orders", "GET, POST"), ("POST", "/sagas/any", "GET")],
)
async def test_a_wrong_method(api: httpx.AsyncClient, method: str, path: str, allowed: str) -> None:
    answer = await api.request(method, path)
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == allowed


async def test_a_mistake_of_ours_tells_nothing(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("the secret is 42")

    monkeypatch.setattr("handrail.projections.saga_board.sagas", broken)
    answer = await api.get("/sagas", headers={"X-Request-Id": "request-17"})
    found = problem(answer, 500, "internal-error")
    assert found["request_id"] == "request-17"
    assert "42" not in answer.text
    assert "ZeroDivision" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_every_answer_has_its_headers(api: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/nowhere", "/orders", "/openapi.json"):
        headers = (await api.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Cache-Control"] == "no-store"
        assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-Id"])
        assert "Access-Control-Allow-Origin" not in headers


async def test_a_request_id_that_is_not_one_is_replaced(api: httpx.AsyncClient) -> None:
    answer = await api.get("/healthz", headers={"X-Request-Id": "a b\tc" * 20})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])


@pytest.mark.parametrize("slug", KINDS)
async def test_every_problem_has_a_page(api: httpx.AsyncClient, slug: str) -> None:
    page = (await api.get(KINDS[slug].type)).json()
    assert (page["type"], page["status"]) == (f"/problems/{slug}", KINDS[slug].status)
    assert all(page[name] for name in ("title", "meaning", "remedy"))


async def test_all_pages_are_listed(api: httpx.AsyncClient) -> None:
    listed = (await api.get("/problems")).json()["items"]
    assert [one["type"] for one in listed] == [kind.type for kind in KINDS.values()]
    problem(await api.get("/problems/bad-weather"), 404, "not-found")


@pytest.mark.parametrize("slug", KINDS)
def test_every_problem_is_documented(slug: str) -> None:
    kind = KINDS[slug]
    assert f"| `{slug}` | {kind.status} | {kind.meaning} {kind.remedy} |" in PAGE.read_text()


def test_every_rule_of_the_domain_has_a_problem() -> None:
    rules = {
        name
        for module in (errors, business)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, DomainError) and value is not DomainError
    }
    assert set(HANDRAIL.rule_problems) == rules


def test_a_rule_nobody_knows_is_our_mistake_and_tells_nothing() -> None:
    found = of_rule("NeverHeardOf", "the secret is 42", HANDRAIL.rule_problems)
    assert (found.slug, "42" in found.detail) == ("internal-error", False)


def test_pointers_are_escaped() -> None:
    assert pointer_to("a/b", 0, "c~d") == "#/a~1b/0/c~0d"
    assert pointer_to() == "#"
