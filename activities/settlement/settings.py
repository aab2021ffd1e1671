"""The settings of the gateway to the registry of businesses."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handrail.setting_types import HttpUrl, Seconds, SettingsPart, Unset


class RegistrySettings(SettingsPart):
    registry_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None,
        description="Where the registry of businesses answers. Unset: a simulator.",
    )
    registry_timeout_seconds: Seconds = Field(
        default=2, description="How long one question to the registry may take."
    )
