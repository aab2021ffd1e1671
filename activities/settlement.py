"""What merchants are owed: one stream each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from activities.handling import Handler, single
from activities.serving import serve
from domain.settlement import merchant_account
from domain.settlement.commands import AccruePayable, ClawBack, OpenMerchantAccount
from eventstore.store import EventStore


def activities(store: EventStore) -> Sequence[Callable[..., Any]]:
    accounts = Handler(
        store,
        single(
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
    ]
