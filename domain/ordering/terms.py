"""What is due at once and what is financed."""

from handrail.errors import NotPositive
from handrail.kernel import Money


def down_payment(total: Money, instalments: int) -> Money:
    """One share of `instalments` + 1 equal shares; the cents that do not divide are due at once."""
    if total.amount <= 0 or instalments <= 0:
        raise NotPositive(f"total {total}, {instalments} instalments")
    return Money(total.amount - instalments * (total.amount // (instalments + 1)), total.currency)
