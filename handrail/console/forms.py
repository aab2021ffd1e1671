"""Forms: the fields of a request's body, as the models of the HTTP API take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ValidationError

from handrail.http.actor_name import ActorName
from handrail.http.dependencies import actor_of
from handrail.http.problems import Problem

ModelT = TypeVar("ModelT", bound=BaseModel)

_MOST_FIELDS: Final = 60
_ACTOR: Final = "console"
"""The actor in development, where no caller has a name."""


async def form_of(request: Request) -> Mapping[str, str]:
    """The fields that were filled in. Raises Problem for another kind of body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Problem("malformed-request", "this is not a form")
    try:
        said = (await request.body()).decode()
        pairs = parse_qsl(said, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Problem("malformed-request", "this is not a form") from None
    return {name: value.replace("\r\n", "\n").strip() for name, value in pairs if value.strip()}


def model_of(model: type[ModelT], fields: Mapping[str, Any]) -> ModelT:
    """The body of the API's own request. Raises RequestValidationError, which names the field."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from None


async def actor_in(request: Request) -> ActorName:
    """On whose authority a form is sent: who is signed in."""
    return await actor_of(request, _ACTOR)


def see(address: str) -> RedirectResponse:
    """Leads a browser from a form to a page, which it may load again."""
    return RedirectResponse(address, status_code=303)
