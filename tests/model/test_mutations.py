"""The model finds each fault again when its mend is taken out, and nothing where it is not."""

from __future__ import annotations

import pytest

from tests.model.explore import explore
from tests.model.moves import Rules
from tests.model.mutations import MUTATIONS, Mutation
from tests.model.plans import explore as plans
from tests.model.plans import mutations as of_plans
from tests.model.shapes import SHAPES

pytestmark = pytest.mark.matrix

NAMES = [one.name for one in MUTATIONS]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=NAMES)
def test_an_engine_that(mutation: Mutation) -> None:
    with mutation.applied():
        found = explore(
            SHAPES[mutation.shape],
            mutation.disturbances,
            Rules(mutation.kinds),
            patched=mutation.patched,
        )
    assert found.broken, f"survives: {mutation.says}"
    print(f"An engine that {mutation.says}:\n{found.broken[0]}")
    assert found.broken[0].law.partition(":")[0] in mutation.breaks, str(found.broken[0])


@pytest.mark.parametrize(
    "mutation", of_plans.MUTATIONS, ids=[one.name for one in of_plans.MUTATIONS]
)
def test_a_collection_that(mutation: of_plans.Mutation) -> None:
    with mutation.applied():
        found = plans.explore(
            mutation.returns, mutation.kinds, mutation.disturbances, without=mutation.without
        )
    assert found.broken, f"survives: {mutation.says}"
    print(f"A collection, or a return, that {mutation.says}:\n{found.broken[0]}")
    assert found.broken[0].law.partition(":")[0] in mutation.breaks, str(found.broken[0])
