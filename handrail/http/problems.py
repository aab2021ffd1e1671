"""Problem details of RFC 9457 (`application/problem+json`) for every error of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, cast

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from handrail import bounds
from handrail.http.api_examples import NEUTRAL
from handrail.http.problem_types import PROBLEM_TYPES, ProblemType
from handrail.http.public import PUBLIC
from handrail.http.schemas import of_row, text

MEDIA_TYPE: Final = "application/problem+json"
_MOST_ERRORS: Final = 100
"""How many wrong values one answer names."""
_LONGEST_NAME: Final = 100
"""Characters of a name of a field as it was sent."""


_OF_STATUS: Final[Mapping[int, str]] = {
    400: "malformed-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}


class ErrorItem(BaseModel):
    """One wrong value, and where it is: a JSON pointer into the body, or else a name."""

    model_config = ConfigDict(extra="forbid")

    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    detail: str


class ProblemDetails(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="forbid")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[ErrorItem] = []


@dataclass
class Problem(Exception):
    """Raise it anywhere below a route; whatever `detail` says, the client will read."""

    slug: str
    detail: str
    errors: Sequence[ErrorItem] = ()
    retry_after: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None

    def __post_init__(self) -> None:
        super().__init__(self.detail)


def at(pointer: str, detail: str) -> ErrorItem:
    return ErrorItem(pointer=pointer, detail=detail)


def in_header(name: str, detail: str) -> ErrorItem:
    return ErrorItem(header=name, detail=detail)


def unavailable(slug: str, detail: str) -> Problem:
    return Problem(slug, detail, retry_after=2)


def of_rule(name: str, said: str, rules: Mapping[str, str]) -> Problem:
    """The problem of a broken rule of the domain.

    `name` is that of the rule's class, which is what arrives of it through Temporal; `rules` are
    the slugs by such names. A rule that is not in it is a mistake of ours.
    """
    slug = rules.get(name, "internal-error")
    return Problem(slug, said if slug != "internal-error" else PROBLEM_TYPES[slug].meaning)


def kinds_of(request: Request) -> Mapping[str, ProblemType]:
    """The problem types of the application that serves the request, by slug."""
    return cast("Mapping[str, ProblemType]", request.app.state.problem_types)


def answer(problem: Problem, request: Request) -> Response:
    kind = kinds_of(request)[problem.slug]
    request.scope["handrail.problem"] = problem.slug
    status = problem.status or kind.status
    details = ProblemDetails(
        type=kind.type,
        title=kind.title,
        status=status,
        detail=problem.detail,
        instance=request.scope["path"],
        request_id=request.scope.get("handrail.request_id", ""),
        errors=list(problem.errors),
    )
    headers = dict(problem.headers)
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    body = details.model_dump_json(exclude_none=True)
    return Response(body, status, headers, media_type=MEDIA_TYPE)


def of_http(error: HTTPException) -> Problem:
    """The framework's own, in our form."""
    slug = _OF_STATUS.get(error.status_code, "http-error")
    detail = PROBLEM_TYPES[slug].meaning if slug != "http-error" else str(error.detail)
    return Problem(slug, detail, headers=error.headers or {}, status=error.status_code)


def of_validation(error: RequestValidationError) -> Problem:
    """Names what is wrong and where, and never repeats what was sent."""
    found = error.errors()
    if broken := next((one for one in found if one["type"] == "json_invalid"), None):
        said, where = broken.get("ctx", {}).get("error", "not JSON"), broken["loc"][-1]
        return Problem("malformed-request", f"not JSON at character {where}: {said}")
    items = [_item(one["loc"], one["msg"]) for one in found[:_MOST_ERRORS]]
    first = items[0]
    where = first.pointer or first.parameter or first.header
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return Problem("invalid-request", f"{where}: {first.detail}{more}", items)


def _item(where: Sequence[int | str], said: str) -> ErrorItem:
    source, path = where[0], where[1:]
    said = said.removeprefix("Value error, ")
    if source == "body":
        return at(pointer_to(*path), said)
    name = bounds.storable(str(path[-1] if path else source), _LONGEST_NAME)
    if source == "header":
        return in_header(name, said)
    return ErrorItem(parameter=name, detail=said)


def pointer_to(*path: int | str) -> str:
    """RFC 6901, as a fragment. A name that nobody could have meant is cut."""
    parts = (bounds.storable(str(part), _LONGEST_NAME) for part in path)
    escaped = (part.replace("~", "~0").replace("/", "~1") for part in parts)
    return "".join(["#", *(f"/{part}" for part in escaped)])


def responses(
    *slugs: str, kinds: Mapping[str, ProblemType] = PROBLEM_TYPES
) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of problems, with an example of each, in the order of `kinds`.

    A route names those that do not follow from what it takes: see `handrail/http/openapi.py`.
    `kinds` are the problem types that the slugs name: those of a business, where it adds some.
    """
    found: dict[int | str, dict[str, Any]] = {}
    # Whoever asks the database may have to wait for a connection to it.
    more = ["too-busy", "other-store", "newer-code"] if "database-unavailable" in slugs else []
    # Whoever reads a read model may find it exchanged, or the row parked; who waits has a token.
    if "read-model-behind" in slugs:
        more += ["read-model-exchanged", "row-parked", "token-of-another-epoch"]
    place = {slug: number for number, slug in enumerate(kinds)}
    for slug in sorted({*slugs, *more}, key=place.__getitem__):
        kind = kinds[slug]
        example = {
            "type": kind.type,
            "title": kind.title,
            "status": kind.status,
            "detail": kind.meaning,
            "instance": NEUTRAL.path,
            "request_id": "0d3adf5f3c5e4b0d9a3c7f0f5f2f1b11",
            "errors": [],
        }
        entry = found.setdefault(
            kind.status,
            {
                "description": kind.title,
                "content": {
                    MEDIA_TYPE: {
                        "schema": {"$ref": "#/components/schemas/ProblemDetails"},
                        "examples": {},
                    }
                },
            },
        )
        if entry["description"] != kind.title:
            entry["description"] = "One of the problems shown"
        entry["content"][MEDIA_TYPE]["examples"][slug] = {"value": example}
    return found


router = APIRouter(tags=["problems"], dependencies=[PUBLIC])


class ProblemPage(BaseModel):
    type: str
    status: int
    title: str
    meaning: str
    remedy: str = Field(description="What to do about it.")
    kind: Literal["problem"] = "problem"


class ProblemPages(BaseModel):
    items: list[ProblemPage]


def _page(kind: ProblemType) -> ProblemPage:
    return of_row(ProblemPage, kind, kind="problem")


@router.get("/problems", summary="All problem types")
async def list_problems(request: Request) -> ProblemPages:
    return ProblemPages(
        items=[of_row(ProblemPage, kind, kind="problem") for kind in kinds_of(request).values()]
    )


Slug = Annotated[str, text(bounds.SLUG), Field(examples=[NEUTRAL.problem])]


@router.get(
    "/problems/{slug}",
    summary="What a problem means and what to do",
    responses=responses("not-found"),
)
async def show_problem(request: Request, slug: Slug) -> ProblemPage:
    if (kind := kinds_of(request).get(slug)) is None:
        raise Problem("not-found", f"there is no problem type {slug}")
    return _page(kind)
