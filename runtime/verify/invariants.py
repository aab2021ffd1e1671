"""What must be true at every moment, whatever broke: one function each, of one id's evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from handrail.verify.feed_invariants import streams_without_gaps
from handrail.verify.read_model_invariants import read_models_equal_fold
from handrail.verify.saga_invariants import (
    attempts_in_turn,
    decisions_hold,
    interventions,
    steps_have_outcomes,
)
from handrail.verify.violations import Invariant
from handrail.verify.workflow_invariants import parked_in_temporal
from runtime.verify.evidence import Evidence
from runtime.verify.ledger import clearing_accounts_at_zero, ledger_agrees
from runtime.verify.money import (
    bank_agrees,
    instalments,
    one_effect_per_step,
    payouts_equal_prepared,
    refunds_equal_adjustments,
    returns,
)
from runtime.verify.orders import carrier_agrees, credit_exposure, money_conserved, stock_conserved
from runtime.verify.processes import processes_run

INVARIANTS: Final[Mapping[str, Invariant[Evidence]]] = {
    "money_conserved": money_conserved,
    "bank_agrees": bank_agrees,
    "carrier_agrees": carrier_agrees,
    "instalments": instalments,
    "returns": returns,
    "refunds_equal_adjustments": refunds_equal_adjustments,
    "payouts_equal_prepared": payouts_equal_prepared,
    "one_effect_per_step": one_effect_per_step,
    "stock_conserved": stock_conserved,
    "credit_exposure": credit_exposure,
    "steps_have_outcomes": steps_have_outcomes,
    "attempts_in_turn": attempts_in_turn,
    "decisions_hold": decisions_hold,
    "interventions": interventions,
    "processes_run": processes_run,
    "parked_in_temporal": parked_in_temporal,
    "feed_once_in_order": streams_without_gaps,
    "ledger_agrees": ledger_agrees,
    "clearing_accounts_at_zero": clearing_accounts_at_zero,
    "read_models_equal_fold": read_models_equal_fold,
}
