"""The settings of the carrier's gateway."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handrail.setting_types import HttpUrl, Seconds, Secrets, SettingsPart, Unset


class CarrierSettings(SettingsPart):
    carrier_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None, description="Where the carrier answers. Unset: a simulator."
    )
    carrier_timeout_seconds: Seconds = Field(
        default=2, description="How long one question to the carrier may take."
    )
    carrier_webhook_secrets: Secrets = Field(
        default=(),
        repr=False,
        description="What the carrier's webhooks are signed with (`whsec_…`), comma-separated, "
        "newest first. Empty: none is taken.",
    )
