"""The settings of the bank's gateway."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handrail.pem_files import AuthoritiesFile, CertificateFile, KeyFile
from handrail.secret_files import secret_of
from handrail.setting_types import HttpUrl, Seconds, Secrets, SettingsPart, Token, Unset


class BankSettings(SettingsPart):
    bank_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None, description="Where the bank answers. Unset: a simulator."
    )
    bank_ca_file: AuthoritiesFile = Field(
        default=None,
        description="The authorities that the certificate of the bank is checked against. "
        "Unset: those of the machine.",
    )
    bank_cert_file: CertificateFile = Field(
        default=None, description="The certificate that is shown to the bank."
    )
    bank_key_file: Annotated[KeyFile, secret_of("worker")] = Field(
        default=None, description="The key of that certificate."
    )
    bank_token: Annotated[Token, secret_of("worker")] = Field(
        default=None, repr=False, description="The bearer token that the bank asks for."
    )
    bank_timeout_seconds: Seconds = Field(
        default=2, description="How long one question to the bank may take."
    )
    bank_webhook_secrets: Secrets = Field(
        default=(), repr=False, description="The same for the bank's webhooks."
    )
