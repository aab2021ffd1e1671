"""Every no that the API says, once: its address, its status, what it means and what to do about it.

Problem details of RFC 9457. `docs/http-api.md` lists them too, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from domain import errors
from domain.errors import DomainError

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    slug: str
    status: int
    title: str
    meaning: str
    remedy: str

    @property
    def type(self) -> str:
        return f"/problems/{self.slug}"


def _registry(*kinds: Kind) -> Mapping[str, Kind]:
    return {kind.slug: kind for kind in kinds}


KINDS: Final = _registry(
    Kind(
        "malformed-request",
        400,
        "The request cannot be read",
        "The body is not JSON, or the request breaks the rules of HTTP.",
        "Send one JSON object, as the OpenAPI document shows it.",
    ),
    Kind(
        "malformed-header",
        400,
        "A header cannot be read",
        "A header has a value that it cannot have; `errors` names it.",
        "Correct the header. A Handrail-Token is passed back exactly as it was received.",
    ),
    Kind(
        "idempotency-key-missing",
        400,
        "An idempotency key is needed",
        "The request would start something that must not be started twice by accident.",
        "Send an Idempotency-Key that is new for each intention, and the same when you repeat it.",
    ),
    Kind(
        "bad-cursor",
        400,
        "The cursor does not fit",
        "A cursor was changed, or belongs to another list or to other filters.",
        "Follow the `next` link of the page before, or begin without a cursor.",
    ),
    Kind(
        "not-found",
        404,
        "There is nothing here",
        "Nothing is known under this address.",
        "Check the id. What was written a moment ago is found with its Handrail-Token.",
    ),
    Kind(
        "method-not-allowed",
        405,
        "Not with this method",
        "The address exists, but does not answer this method.",
        "Use a method that the Allow header names.",
    ),
    Kind(
        "idempotency-in-flight",
        409,
        "The same request is being worked on",
        "A request with this idempotency key has begun and has no answer yet.",
        "Repeat it after the seconds that Retry-After names: you will get the one answer.",
    ),
    Kind(
        "too-late",
        409,
        "It is too late for that",
        "The saga has passed the point up to which this is possible; `detail` says which.",
        "Look at the saga: what was done can only be put right by a new process.",
    ),
    Kind(
        "not-parked",
        409,
        "No such step waits for a person",
        "Only a parked step can be intervened in.",
        "Look at `waiting` of the saga, and name one of those steps.",
    ),
    Kind(
        "saga-ended",
        409,
        "The saga has ended",
        "It was completed, or everything was taken back; nothing changes it any more.",
        "Look at the saga's `status` for how it ended.",
    ),
    Kind(
        "content-differs",
        409,
        "The id is taken by other content",
        "Under this id something else was stored before.",
        "Use a new id, or repeat the request with the content of the first time.",
    ),
    Kind(
        "out-of-order",
        409,
        "Not in the present state",
        "What was asked cannot happen now.",
        "Look at the events of the stream under /streams.",
    ),
    Kind(
        "body-too-large",
        413,
        "The body is too large",
        "A request may have a body of 256 KiB at most.",
        "Split it.",
    ),
    Kind(
        "unsupported-media-type",
        415,
        "The body must be JSON",
        "Only application/json is understood.",
        "Send the header Content-Type: application/json.",
    ),
    Kind(
        "invalid-request",
        422,
        "The request has a wrong value",
        "A field is missing, unknown or out of range; `errors` names each.",
        "Correct the fields that `errors` names.",
    ),
    Kind(
        "unknown-merchant",
        422,
        "The merchant is not known",
        "There is no merchant under this id, so nothing was started.",
        "Check the id. For a merchant opened a moment ago, send its Handrail-Token along.",
    ),
    Kind(
        "unknown-customer",
        422,
        "The customer is not known",
        "No credit limit was ever assigned to this customer, so nothing was started.",
        "Check the id, or assign a limit. For one of a moment ago, send its Handrail-Token along.",
    ),
    Kind(
        "unknown-sku",
        422,
        "The article is not known",
        "The merchant never received stock of this article, so nothing was started.",
        "Check the SKU. For stock of a moment ago, send its Handrail-Token along.",
    ),
    Kind(
        "wrong-currency",
        422,
        "The currency does not fit",
        "All amounts must be in the currency of the account.",
        "Use the currency of the merchant; `detail` names it.",
    ),
    Kind(
        "rule-broken",
        422,
        "A business rule is broken",
        "The request is well formed and can never be done; `detail` names the rule.",
        "Correct what `detail` names.",
    ),
    Kind(
        "idempotency-key-reused",
        422,
        "The idempotency key was used for another request",
        "The same key came before with another body.",
        "Use a new key for a new intention; the same key only to repeat the same request.",
    ),
    Kind(
        "http-error",
        400,
        "The request cannot be served",
        "HTTP has a word for it, and we have no more to say: see `status`.",
        "Look the status code up.",
    ),
    Kind(
        "internal-error",
        500,
        "Something is wrong on our side",
        "It was logged under the request id.",
        "Repeat the request with the same Idempotency-Key; if it stays, report the request id.",
    ),
    Kind(
        "not-ready",
        503,
        "Not everything that is needed is there",
        "`errors` names what is missing. Some requests may be served all the same.",
        "Start or mend what `errors` names.",
    ),
    Kind(
        "read-model-behind",
        503,
        "The read model is behind",
        "It has not yet seen what your Handrail-Token stands for.",
        "Repeat it after Retry-After, allow more time with Prefer: wait, or drop the token.",
    ),
    Kind(
        "database-unavailable",
        503,
        "The database does not answer",
        "PostgreSQL cannot be reached, or is too slow. Running sagas wait for it.",
        "Repeat it after Retry-After, with the same Idempotency-Key.",
    ),
    Kind(
        "temporal-unavailable",
        503,
        "Temporal does not answer",
        "No process can be started or asked. Those that run are not lost.",
        "Repeat it after Retry-After, with the same Idempotency-Key.",
    ),
    Kind(
        "worker-unavailable",
        503,
        "Nobody did it in time",
        "It was handed over, and no worker answered: it may still be done.",
        "Repeat the same request after Retry-After: done twice, it is done once.",
    ),
)  # fmt: skip

_OF_STATUS: Final[Mapping[int, str]] = {
    400: "malformed-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}

_OF_RULE: Final[Mapping[type[DomainError], str]] = {
    errors.CurrencyMismatch: "wrong-currency",
    errors.UnknownAggregate: "not-found",
    errors.OutOfOrder: "out-of-order",
    errors.ContentDiffers: "content-differs",
    errors.NotPositive: "rule-broken",
    errors.NoLines: "rule-broken",
    errors.TotalDiffers: "rule-broken",
    errors.DownPaymentDiffers: "rule-broken",
    errors.FeeOutOfRange: "rule-broken",
    errors.NotACurrency: "rule-broken",
    errors.OutsideAnswerMissing: "internal-error",
}
"""Every broken rule, so that a new one is noticed here: a test compares."""

RULES: Final[Mapping[str, str]] = {rule.__name__: slug for rule, slug in _OF_RULE.items()}
"""The slug of a rule's name, which is what arrives of it through Temporal."""


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

    @property
    def kind(self) -> Kind:
        return KINDS[self.slug]


def at(pointer: str, detail: str) -> ErrorItem:
    return ErrorItem(pointer=pointer, detail=detail)


def in_header(name: str, detail: str) -> ErrorItem:
    return ErrorItem(header=name, detail=detail)


def unavailable(slug: str, detail: str) -> Problem:
    return Problem(slug, detail, retry_after=2)


def of_rule(name: str, said: str) -> Problem:
    """What a broken rule of the domain is to a client."""
    slug = RULES.get(name, "internal-error")
    return Problem(slug, said if slug != "internal-error" else KINDS[slug].meaning)


def answer(problem: Problem, request: Request) -> Response:
    status = problem.status or problem.kind.status
    details = ProblemDetails(
        type=problem.kind.type,
        title=problem.kind.title,
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
    detail = KINDS[slug].meaning if slug != "http-error" else str(error.detail)
    return Problem(slug, detail, headers=error.headers or {}, status=error.status_code)


def of_validation(error: RequestValidationError) -> Problem:
    """Names what is wrong and where, and never repeats what was sent."""
    found = error.errors()
    if broken := next((one for one in found if one["type"] == "json_invalid"), None):
        said, where = broken.get("ctx", {}).get("error", "not JSON"), broken["loc"][-1]
        return Problem("malformed-request", f"not JSON at character {where}: {said}")
    items = [_item(one["loc"], one["msg"]) for one in found]
    first = items[0]
    where = first.pointer or first.parameter or first.header
    more = f", and {len(items) - 1} more" if len(items) > 1 else ""
    return Problem("invalid-request", f"{where}: {first.detail}{more}", items)


def _item(where: Sequence[int | str], said: str) -> ErrorItem:
    source, path = where[0], where[1:]
    said = said.removeprefix("Value error, ")
    if source == "body":
        return at(pointer_to(*path), said)
    name = str(path[-1]) if path else str(source)
    if source == "header":
        return in_header(name, said)
    return ErrorItem(parameter=name, detail=said)


def pointer_to(*path: int | str) -> str:
    """RFC 6901, as a fragment."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "".join(["#", *(f"/{part}" for part in escaped)])


def responses(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a route's problems, with an example of each."""
    found: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        kind = KINDS[slug]
        example = {
            "type": kind.type,
            "title": kind.title,
            "status": kind.status,
            "detail": kind.meaning,
            "instance": "/orders/ord-7d4k2m9q",
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


router = APIRouter(tags=["problems"])


class ProblemPage(BaseModel):
    type: str
    status: int
    title: str
    meaning: str
    remedy: str = Field(description="What to do about it.")
    kind: Literal["problem"] = "problem"


class ProblemPages(BaseModel):
    items: list[ProblemPage]


def _page(kind: Kind) -> ProblemPage:
    return ProblemPage(
        type=kind.type,
        status=kind.status,
        title=kind.title,
        meaning=kind.meaning,
        remedy=kind.remedy,
    )


@router.get("/problems", summary="All problem types")
async def list_problems() -> ProblemPages:
    return ProblemPages(items=[_page(kind) for kind in KINDS.values()])


Slug = Annotated[str, Field(pattern="^[a-z][a-z-]{0,63}$", examples=["unknown-merchant"])]


@router.get(
    "/problems/{slug}",
    summary="What a problem means and what to do",
    responses=responses("not-found", "invalid-request"),
)
async def show_problem(slug: Slug) -> ProblemPage:
    if slug not in KINDS:
        raise Problem("not-found", f"there is no problem type {slug}")
    return _page(KINDS[slug])
