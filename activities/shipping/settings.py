"""The settings of the carrier's gateway."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handrail.pem_files import AuthoritiesFile, CertificateFile, KeyFile
from handrail.secret_files import secret_of
from handrail.setting_types import HttpUrl, Seconds, Secrets, SettingsPart, Token, Unset


class CarrierSettings(SettingsPart):
    carrier_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None, description="Where the carrier answers. Unset: a simulator."
    )
    carrier_ca_file: AuthoritiesFile = Field(
        default=None,
        description="The authorities that the certificate of the carrier is checked against. "
        "Unset: those of the machine.",
    )
    carrier_cert_file: CertificateFile = Field(
        default=None, description="The certificate that is shown to the carrier."
    )
    carrier_key_file: Annotated[KeyFile, secret_of("worker")] = Field(
        default=None, description="The key of that certificate."
    )
    carrier_token: Annotated[Token, secret_of("worker")] = Field(
        default=None, repr=False, description="The bearer token that the carrier asks for."
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
