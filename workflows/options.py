"""What goes into the shop's sagas beside what every saga needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from handrail.sagas.options import RunOptions
from workflows.dunning import Terms


@dataclass(frozen=True, kw_only=True)
class ShopOptions(RunOptions):
    """An order of more than `review_above` minor units of its currency waits for a risk officer, at
    most `review_seconds`; None: no order does. `terms` are those of the instalments of an order.
    """

    review_above: int | None = None
    review_seconds: float = 86_400
    terms: Terms = field(default_factory=Terms)
