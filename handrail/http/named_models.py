"""Models and routes of the HTTP API in which a field has the name that the App gives it.

A field `tenant: Annotated[…, TENANT_FIELD]` of a model has the App's word in JSON, in a query and
in the OpenAPI document; in Python it stays `tenant`. So it is with what webhooks are about.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from handrail.http.schemas import Asked
from handrail.tenant_word import TENANT_FIELD, Marker

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True)
class Naming:
    """Fields with this marker have this word as their name."""

    word: str
    field: Marker


SUBJECT_FIELD: Final = Marker()
"""Marks the field that names what a webhook is about."""
_PARAMETERS: Final = tuple(inspect.signature(APIRoute.__init__).parameters)[1:]


def named(model: type[ModelT], word: str, field: Marker = TENANT_FIELD) -> type[ModelT]:
    """The model in which fields with that marker have the App's word as their name: itself where it
    has none.
    """
    found: type[ModelT] = _made(model, Naming(word, field))
    return found


@cache
def _made(model: type[BaseModel], naming: Naming) -> Any:
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        if naming.field in info.metadata:
            fields[name] = (
                info.annotation,
                _called(info, naming.word, is_sent=issubclass(model, Asked)),
            )
        elif (annotation := _named_within(info.annotation, naming)) is not info.annotation:
            changed = copy(info)
            changed.annotation = annotation
            fields[name] = (annotation, changed)
    if not fields:
        return model
    return create_model(
        model.__name__,
        __base__=model,
        __module__=model.__module__,
        __doc__=model.__doc__,
        **fields,
    )


def _called(info: FieldInfo, word: str, *, is_sent: bool) -> FieldInfo:
    """What is sent to us has no other name; an answer of ours is made by the field's own."""
    called = copy(info)
    called.serialization_alias = word
    if is_sent:
        called.alias = called.validation_alias = word
        called.alias_priority = 2
    return called


def _named_within(annotation: Any, naming: Naming) -> Any:
    """The same annotation, with the models in it named; itself where it holds none to be named."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        arguments = annotation.__pydantic_generic_metadata__["args"]
        new = tuple(_named_within(one, naming) for one in arguments)
        if new != arguments:
            origin: Any = annotation.__pydantic_generic_metadata__["origin"]
            return origin[new]
        return _made(annotation, naming)
    arguments = get_args(annotation)
    new = tuple(_named_within(one, naming) for one in arguments)
    if all(one is other for one, other in zip(new, arguments, strict=True)):
        return annotation
    if get_origin(annotation) in {UnionType, Union}:
        return Union[new]  # noqa: UP007  # of as many as there are
    if hasattr(annotation, "__metadata__"):
        return annotation.copy_with(new[:1])
    return get_origin(annotation)[new]


def router_for(router: APIRouter, word: str, field: Marker = TENANT_FIELD) -> APIRouter:
    """The router with the App's word in the models of its routes; all else is as it was."""
    naming = Naming(word, field)
    routes = [_route(one, naming) if isinstance(one, APIRoute) else one for one in router.routes]
    if all(one is was for one, was in zip(routes, router.routes, strict=True)):
        return router
    called = copy(router)  # with what the router itself depends on
    called.routes = routes
    return called


def _route(route: APIRoute, naming: Naming) -> APIRoute:
    endpoint = _endpoint(route.endpoint, naming)
    response_model = _named_within(route.response_model, naming)
    if endpoint is route.endpoint and response_model is route.response_model:
        return route
    given = {name: getattr(route, name) for name in _PARAMETERS if hasattr(route, name)}
    return APIRoute(**{**given, "endpoint": endpoint, "response_model": response_model})


def _endpoint(endpoint: Callable[..., Any], naming: Naming) -> Callable[..., Any]:
    """The same function with other types of its parameters: FastAPI reads its signature."""
    signature = inspect.signature(endpoint, eval_str=True)
    parameters = [
        one.replace(annotation=_named_within(one.annotation, naming))
        for one in signature.parameters.values()
    ]
    before = [one.annotation for one in signature.parameters.values()]
    if all(one.annotation is was for one, was in zip(parameters, before, strict=True)):
        return endpoint

    @functools.wraps(endpoint)
    async def called(*arguments: Any, **named_arguments: Any) -> Any:
        return await endpoint(*arguments, **named_arguments)

    vars(called)["__signature__"] = signature.replace(parameters=parameters)
    return called
