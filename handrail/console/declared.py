"""What a business declares of its console: the pages of its entities, as values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from handrail.projections.projection import Projection

_NAME: Final = re.compile(r"[a-z][a-z-]{0,30}")
TAKEN: Final = frozenset(
    {
        *("approve", "audit", "broker", "catalogue", "consumers", "events", "find"),
        *("interventions", "now", "proposals", "read-models", "relay", "sagas", "sign-in"),
        *("sign-out", "static", "streams"),
    }
)
"""Names under `/console` that the library's own pages have."""


def _the_same(id_: str) -> Sequence[str]:
    return (id_,)


@dataclass(frozen=True, kw_only=True)
class EntityPage:
    """The page `/console/{name}/{id}` of one entity of the business, such as `trips`.

    `projection` is the read model with its row. `title` is what one of them is called; empty: the
    name without its plural's s. `scope` is what a principal needs to see it; empty: `trips:read`.
    `fields` are the columns to show, in this order; empty: all.
    `money` are those that are amounts in the row's `currency`. `sagas` says which sagas may be
    about it, by its id, and `links` names the pages of other entities by the field that holds their
    id.
    """

    name: str
    projection: Projection[Any]
    title: str = ""
    scope: str = ""
    fields: Sequence[str] = ()
    money: Sequence[str] = ()
    links: Sequence[tuple[str, str]] = ()
    sagas: Callable[[str], Sequence[str]] = _the_same
    has_webhooks: bool = False
    """Whether its ids are what webhooks are about: its timeline has those that came."""
    notified: str = ""
    """The field with the recipient of notifications: its timeline has those about it, or all of
    the recipient's where that is its key; for principals with `notified_scope`.
    """
    notified_scope: str = ""
    is_tenant: bool = False
    """Whether its ids are those of tenants: its sagas are then all that run for it."""

    def __post_init__(self) -> None:
        title = self.name.removesuffix("s").replace("-", " ").capitalize()
        object.__setattr__(self, "title", self.title or title)
        object.__setattr__(self, "scope", self.scope or f"{self.name}:read")
        object.__setattr__(self, "notified_scope", self.notified_scope or self.scope)

    @property
    def shown(self) -> Sequence[str]:
        """The fields that the page shows."""
        return self.fields or self.projection.columns


@dataclass(frozen=True, kw_only=True)
class Console:
    """The console of an App: its name in the page's head, and the pages of its entities."""

    title: str = "Handrail"
    entities: Sequence[EntityPage] = ()

    def mistakes(self, scopes: Sequence[str], read_models: Sequence[str]) -> Iterator[str]:
        """What is declared wrongly, as sentences."""
        names = [one.name for one in self.entities]
        for one in self.entities:
            where = f"the console's page {one.name}"
            if not _NAME.fullmatch(one.name) or one.name in TAKEN:
                yield f"{where} has a name that it cannot have: use small letters, like trips"
            if names.count(one.name) > 1:
                yield f"{where} is there twice: rename one of them"
            for scope in dict.fromkeys((one.scope, one.notified_scope)):
                if scope not in scopes:
                    yield f"{where} needs the scope {scope}, which does not exist: add it"
            if one.projection.name not in read_models:
                yield f"{where} shows {one.projection.name}, which is none of the projections"
            named = {*one.fields, *one.money, *dict(one.links), *filter(None, [one.notified])}
            unknown = named - {*one.projection.columns}
            if unknown:
                yield f"{where} names {', '.join(sorted(unknown))}, which its row does not have"
            if missing := {page for _, page in one.links} - {*names}:
                yield f"{where} links to {', '.join(sorted(missing))}, which has no page"
