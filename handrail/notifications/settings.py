"""The settings of what sends messages to recipients."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handrail.pem_files import AuthoritiesFile, CertificateFile, KeyFile
from handrail.secret_files import secret_of
from handrail.setting_types import HttpUrl, Seconds, SettingsPart, Token, Unset


class NotificationSettings(SettingsPart):
    provider_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None,
        description="Where the provider of push, SMS and e-mail answers. Unset: a simulator.",
    )
    provider_ca_file: AuthoritiesFile = Field(
        default=None,
        description="The authorities that the certificate of the provider is checked against. "
        "Unset: those of the machine.",
    )
    provider_cert_file: CertificateFile = Field(
        default=None, description="The certificate that is shown to the provider."
    )
    provider_key_file: Annotated[KeyFile, secret_of("notifier")] = Field(
        default=None, description="The key of that certificate."
    )
    provider_token: Annotated[Token, secret_of("notifier")] = Field(
        default=None, repr=False, description="The bearer token that the provider asks for."
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
