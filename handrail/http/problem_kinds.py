"""Problem types of an App: the library's in the App's words, and the types of broken rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from handrail import errors
from handrail.errors import DomainError
from handrail.http.problem_types import PROBLEM_TYPES, ProblemType
from handrail.tenant_word import TENANT_WORD, too_many

RULES: Final[Mapping[type[DomainError], str]] = {
    errors.CurrencyMismatch: "wrong-currency",
    errors.UnknownAggregate: "not-found",
    errors.OutOfOrder: "out-of-order",
    errors.ContentDiffers: "content-differs",
    errors.SamePerson: "second-person-needed",
    errors.NotPositive: "rule-broken",
    errors.NotACurrency: "rule-broken",
    errors.OutsideAnswerMissing: "internal-error",
}
"""The problem type of each rule of the library that can be broken."""


def library_types(tenant: str) -> Mapping[str, ProblemType]:
    """The library's problem types by slug, where the tenant is called so."""
    return {one.slug: one for one in (_called(kind, tenant) for kind in PROBLEM_TYPES.values())}


def _called(kind: ProblemType, tenant: str) -> ProblemType:
    if kind.slug != too_many(TENANT_WORD):
        return kind
    title, meaning = (said.replace(TENANT_WORD, tenant) for said in (kind.title, kind.meaning))
    return replace(kind, slug=too_many(tenant), title=title, meaning=meaning)


def kinds_with(business: Sequence[ProblemType], tenant: str) -> Mapping[str, ProblemType]:
    """The library's problem types and those of a business, by slug. `tenant` is the App's word.

    A type of the business with the slug of a library type replaces it. The others stand before the
    library type that follows them in `business`, or else at the end.
    """
    library, found = library_types(tenant), dict[str, ProblemType]()
    new: list[ProblemType] = []
    before: dict[str, list[ProblemType]] = {}
    for kind in business:
        new.append(kind)
        if kind.slug in library:
            before[kind.slug], new = new, []
    for slug, kind in library.items():
        found |= {one.slug: one for one in before.get(slug, [kind])}
    return found | {one.slug: one for one in new}
