"""What merchants are owed: one stream each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from activities.settlement import application
from activities.settlement.gateway import Registry
from domain.settlement import merchant_account
from domain.settlement.commands import (
    AccruePayable,
    CancelPayout,
    ClawBack,
    CloseMerchantAccount,
    ConfirmPayout,
    OpenMerchantAccount,
    PreparePayout,
)
from handrail.activities.command_activity import serve
from handrail.activities.command_handler import CommandHandler, single_stream
from handrail.eventstore.store import EventStore


def activities(store: EventStore, registry: Registry) -> Sequence[Callable[..., Any]]:
    accounts = CommandHandler(
        store,
        single_stream(
            merchant_account.CATEGORY,
            merchant_account.MerchantAccount(),
            lambda message: message.merchant,
            merchant_account.decide,
            merchant_account.evolve,
        ),
    )
    return [
        serve(OpenMerchantAccount, accounts.handle),
        serve(AccruePayable, accounts.handle),
        serve(ClawBack, accounts.handle),
        serve(PreparePayout, accounts.handle),
        serve(CancelPayout, accounts.handle),
        serve(ConfirmPayout, accounts.handle),
        serve(CloseMerchantAccount, accounts.handle),
        *application.activities(store, registry),
    ]
