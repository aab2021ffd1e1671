"""Problem types of the shop, and what its broken rules are to a client.

`docs/http-api.md` lists them with the library's, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from domain import errors
from handrail.errors import DomainError
from handrail.http.problem_kinds import kinds_with
from handrail.http.problem_types import ProblemType

PROBLEMS: Final[Sequence[ProblemType]] = (
    ProblemType(
        "webhook-subject-unknown",
        404,
        "What the webhook is about is not known",
        "The order does not exist, or nothing of it waits for this. The message is kept.",
        "Send it again later, or look at it under /webhooks and have it tried again.",
    ),
    ProblemType(
        "erasure-refused",
        409,
        "The customer cannot be erased yet",
        "An order is open, or money is held or owed: the data is needed to settle it.",
        "Settle what is named, then ask again.",
    ),
    ProblemType(
        "input-forgotten",
        409,
        "What it was begun with is not known any more",
        "Temporal keeps a workflow's input only for some days after the workflow was closed, and "
        "the saga began before its own stream had a place for it.",
        "Put right by hand what its timeline shows as done. Then begin anew: a merchant applies "
        "again, which also takes back what was left; others begin a new process.",
    ),
    ProblemType(
        "unknown-merchant",
        422,
        "The merchant is not known",
        "There is no merchant under this id, so nothing was started.",
        "Check the id. For a merchant opened a moment ago, send its Handrail-Token along.",
    ),
    ProblemType(
        "merchant-not-active",
        422,
        "The merchant may not sell",
        "The merchant applied and was not accepted, or not yet, so nothing was started.",
        "Look at the merchant's application.",
    ),
    ProblemType(
        "unknown-customer",
        422,
        "The customer is not known",
        "No credit limit was ever assigned to this customer, so nothing was started.",
        "Check the id, or assign a limit. For one of a moment ago, send its Handrail-Token along.",
    ),
    ProblemType(
        "unknown-sku",
        422,
        "The article is not known",
        "The merchant never received stock of this article, so nothing was started.",
        "Check the SKU. For stock of a moment ago, send its Handrail-Token along.",
    ),
    ProblemType(
        "wrong-currency",
        422,
        "The currency does not fit",
        "All amounts must be in the currency of the account.",
        "Use the currency of the merchant; `detail` names it.",
    ),
    ProblemType(
        "too-many-for-merchant",
        429,
        "The merchant has too many orders under way",
        "As many orders of this merchant are being processed as may be. Nothing was started.",
        "Repeat it after Retry-After, with the same Idempotency-Key.",
    ),
)  # fmt: skip
"""Those with the slug of a library type reword it: what it is about is an order or a merchant."""

TENANT: Final = "merchant"
"""What the shop calls its tenant."""
KINDS: Final = kinds_with(PROBLEMS, TENANT)
"""Of the library and the shop, by slug."""

RULES: Final[Mapping[type[DomainError], str]] = {
    errors.NoLines: "rule-broken",
    errors.TotalDiffers: "rule-broken",
    errors.DownPaymentDiffers: "rule-broken",
    errors.FeeOutOfRange: "rule-broken",
}
"""The problem type of each broken rule, by its class."""
