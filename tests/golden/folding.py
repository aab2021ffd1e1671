"""The states that the aggregates of the shop fold a recorded store to."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import TypeAdapter

from handrail.projections.projection import category_of
from handrail.sagas import proposals
from runtime.verify.evidence import _AGGREGATES
from tests.golden.store import Golden
from tests.recorded.product import CODEC

AGGREGATES: Final[dict[str, tuple[Any, Any]]] = {
    **_AGGREGATES,
    proposals.CATEGORY: (proposals.Proposal(), proposals.evolve),
}


def states_of(golden: Golden) -> dict[str, Any]:
    """By stream, as they would be kept."""
    found: dict[str, Any] = {}
    for row in golden.events:
        stream = str(row["stream"])
        if (category := category_of(stream)) not in AGGREGATES:
            continue
        initial, evolve = AGGREGATES[category]
        event = CODEC.decode(
            str(row["type"]), int(str(row["schema"])), json.loads(str(row["data"]))
        )
        found[stream] = evolve(found.get(stream, initial), event)
    return {
        stream: TypeAdapter(type(AGGREGATES[category_of(stream)][0])).dump_python(
            state, mode="json"
        )
        for stream, state in sorted(found.items())
    }
