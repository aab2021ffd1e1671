"""The settings of the shop: those of the library, of its gateways, and its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from activities.payments.settings import BankSettings
from activities.settlement.settings import RegistrySettings
from activities.shipping.settings import CarrierSettings
from handrail.setting_types import Seconds, Unset, form, listed
from handrail.settings import Settings


class ShopSettings(RegistrySettings, CarrierSettings, BankSettings, Settings):
    review_above: Annotated[Annotated[int, Field(ge=0)] | None, Unset] = Field(
        default=None,
        description="An order of more minor units of its currency waits for a risk officer before "
        "it is paid. Unset: none does.",
    )
    review_seconds: Seconds = Field(
        default=86_400, description="How long a risk officer has; then the order is taken back."
    )
    dunning_days: Annotated[
        tuple[Annotated[int, Field(gt=0)], ...], NoDecode, BeforeValidator(listed), form("days")
    ] = Field(
        default=(3, 7, 14),
        description="After how many days a missed instalment is asked for again, comma-separated, "
        "one for each try. Missed once more it is written off. Empty: it is not asked for again.",
    )
    late_fee: Annotated[int, Field(ge=0)] = Field(
        default=500,
        description="What the second miss of an instalment and each later one costs, in minor "
        "units. 0: nothing.",
    )
    sagas_per_merchant: Annotated[int, Field(ge=0)] = Field(
        default=500,
        description="How many checkouts of one merchant may run at the same time. 0: any number.",
    )
