"""The settings of the gateway to the registry of businesses."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handrail.pem_files import AuthoritiesFile, CertificateFile, KeyFile
from handrail.secret_files import secret_of
from handrail.setting_types import HttpUrl, Seconds, SettingsPart, Token, Unset


class RegistrySettings(SettingsPart):
    registry_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None,
        description="Where the registry of businesses answers. Unset: a simulator.",
    )
    registry_ca_file: AuthoritiesFile = Field(
        default=None,
        description="The authorities that the certificate of the registry is checked against. "
        "Unset: those of the machine.",
    )
    registry_cert_file: CertificateFile = Field(
        default=None, description="The certificate that is shown to the registry."
    )
    registry_key_file: Annotated[KeyFile, secret_of("worker")] = Field(
        default=None, description="The key of that certificate."
    )
    registry_token: Annotated[Token, secret_of("worker")] = Field(
        default=None, repr=False, description="The bearer token that the registry asks for."
    )
    registry_timeout_seconds: Seconds = Field(
        default=2, description="How long one question to the registry may take."
    )
