"""The settings of the bank's gateway."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handrail.setting_types import HttpUrl, Seconds, Secrets, SettingsPart, Unset


class BankSettings(SettingsPart):
    bank_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None, description="Where the bank answers. Unset: a simulator."
    )
    bank_timeout_seconds: Seconds = Field(
        default=2, description="How long one question to the bank may take."
    )
    bank_webhook_secrets: Secrets = Field(
        default=(), repr=False, description="The same for the bank's webhooks."
    )
