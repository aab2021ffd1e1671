"""The settings of what sends messages to recipients."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handrail.setting_types import HttpUrl, Seconds, SettingsPart, Unset


class NotificationSettings(SettingsPart):
    provider_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None,
        description="Where the provider of push, SMS and e-mail answers. Unset: a simulator.",
    )
    provider_timeout_seconds: Seconds = Field(
        default=5, description="How long the provider of messages may take to accept one."
    )
    notifier_slots: Annotated[int, Field(ge=2, le=1000)] = Field(
        default=16,
        description="How many messages a notifier sends at the same time. Campaigns leave a "
        "quarter of them free.",
    )
    notifier_attempts: Annotated[int, Field(ge=1)] = Field(
        default=8,
        description="How often a message is tried that gets no clear answer, before it is parked.",
    )
    notifier_lease_seconds: Seconds = Field(
        default=30,
        description="After how long others send the messages of a notifier that died. Longer than "
        "`HANDRAIL_PROVIDER_TIMEOUT_SECONDS`.",
    )
