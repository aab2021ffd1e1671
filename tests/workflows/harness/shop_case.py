"""A case of the shop: its sagas are in the catalogue, its aggregates those that verify folds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from handrail.testing.books import Aggregate
from handrail.testing.saga_case import Case, Correction, Refused, Subject
from runtime.app import HANDRAIL
from runtime.verify.evidence import _AGGREGATES
from tests.workflows.harness.companies import ShopCompanies
from tests.workflows.harness.essence import essence

SAGAS: Final = HANDRAIL.saga_types
AGGREGATES: Final[Mapping[str, Aggregate]] = {
    category: Aggregate(initial=initial, evolve=evolve, standing=partial(essence, category))
    for category, (initial, evolve) in _AGGREGATES.items()
}


def shop_case(
    name: str,
    *,
    prepare: Callable[[Any], Awaitable[Subject]],
    corrections: Mapping[str, Correction] | None = None,
    refusals: Mapping[str, Refused] | None = None,
) -> Case:
    return Case(
        workflow=SAGAS[name].workflow,
        example=SAGAS[name].example,
        prepare=prepare,
        aggregates=AGGREGATES,
        companies=ShopCompanies,
        corrections=corrections or {},
        refusals=refusals or {},
    )
