"""How another company is reached: the authorities it is checked against, and who we say we are."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from handrail.setting_types import SettingsPart


def _none() -> str | None:
    return None


@dataclass(frozen=True)
class CompanyAccess:
    """`tls` is None where the authorities of the machine will do, and no certificate is shown.
    `token` is asked before each request: its file may change.
    """

    tls: ssl.SSLContext | None = None
    token: Callable[[], str | None] = _none

    def headers(self) -> Mapping[str, str]:
        """What says who we are; nothing without a token."""
        token = self.token()
        return {"Authorization": f"Bearer {token}"} if token else {}


def company_access(settings: SettingsPart, company: str) -> CompanyAccess:
    """The access to a company whose settings begin with its name, where there are such settings:
    they end with `_ca_file`, `_cert_file`, `_key_file` and `_token`.
    """

    def setting(ending: str) -> Any:
        return getattr(settings, f"{company}_{ending}", None)

    authorities, certificate, key = setting("ca_file"), setting("cert_file"), setting("key_file")
    tls = None
    if authorities or certificate:
        tls = ssl.create_default_context(cafile=authorities)
    if tls and certificate and key:
        tls.load_cert_chain(certificate, key)
    name = f"{company}_token"
    known = name in type(settings).model_fields
    return CompanyAccess(tls, lambda: settings.current(name) if known else None)
