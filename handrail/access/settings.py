"""Settings of authentication: an environment variable each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from handrail.access.loopback import is_loopback
from handrail.pem_files import AuthoritiesFile
from handrail.secret_files import secret_of
from handrail.setting_types import Seconds, SettingsPart, Unset, form, listed

Algorithm = Literal["ES256", "RS256", "EdDSA"]
Way = Literal["development", "keys", "oidc"]
_LONGEST_CLAIM: Final = 200


def _secure_url(value: str) -> str:
    """As it is written: an issuer is compared with the claim, to the last slash."""
    parts = urlsplit(value)
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
    if not (secure and parts.hostname) or parts.username or parts.fragment:
        raise ValueError("must look like https://host/path; http only on this machine")
    return value


def _renamed(value: tuple[str, ...]) -> tuple[str, ...]:
    for one in value:
        theirs, _, ours = one.rpartition("=")
        if not (theirs and ours):
            raise ValueError("must look like their-name=operator,other-name=reader")
    return value


def _token(value: str | None) -> str | None:
    if value is not None and (not value.isascii() or len(value.split()) != 1):
        raise ValueError("must be a token or an API key")
    return value


SecureUrl = Annotated[str, AfterValidator(_secure_url), form("HTTPS URL")]
Claim = Annotated[str, Field(min_length=1, max_length=_LONGEST_CLAIM)]


class AccessSettings(SettingsPart):
    """How the API knows who calls it."""

    auth: Annotated[Way | None, Unset] = Field(
        default=None,
        description="How callers sign in. `development`: not at all; every caller may do "
        "everything, and the API listens on a loopback address only. `keys`: with API keys. "
        "`oidc`: with tokens of the issuer, or with API keys. Unset: `oidc` where there is an "
        "issuer, else the API does not start; `handrail up` sets `development`.",
    )
    auth_issuer: Annotated[SecureUrl | None, Unset] = Field(
        default=None,
        description="The OpenID Connect issuer whose tokens are accepted, as their claim `iss` is.",
    )
    auth_audience: Annotated[Claim | None, Unset] = Field(
        default=None, description="What the claim `aud` of a token has to contain."
    )
    auth_jwks_url: Annotated[SecureUrl | None, Unset] = Field(
        default=None,
        description="Where the keys of the issuer are. Unset: where its discovery document says.",
    )
    auth_jwks_file: Annotated[Path | None, Unset] = Field(
        default=None,
        description="A file with the keys of the issuer, read again every "
        "`HANDRAIL_AUTH_JWKS_SECONDS`. Instead of the URL.",
    )
    auth_ca_file: AuthoritiesFile = Field(
        default=None,
        description="The certificates that the issuer's certificate is verified with. Unset: "
        "those of the system.",
    )
    auth_algorithms: Annotated[
        tuple[Algorithm, ...], NoDecode, BeforeValidator(listed), Field(min_length=1)
    ] = Field(
        default=("ES256", "RS256", "EdDSA"),
        description="The signatures that are accepted, comma-separated.",
    )
    auth_clock_skew_seconds: Annotated[float, Field(ge=0, le=300)] = Field(
        default=30, description="How far the issuer's clock may be from ours, either way."
    )
    auth_token_seconds: Annotated[Seconds, Field(le=604_800)] = Field(
        default=86_400,
        description="How old a token may be, whatever its expiry: from its claim `iat`.",
    )
    auth_jwks_seconds: Annotated[Seconds, Field(ge=1, le=86_400)] = Field(
        default=300, description="After how long the keys of the issuer are read again."
    )
    auth_jwks_stale_seconds: Annotated[Seconds, Field(le=604_800)] = Field(
        default=86_400,
        description="How long keys are used that cannot be read again; then nobody signs in.",
    )
    auth_roles_claim: Claim = Field(
        default="roles",
        description="The claim with the roles, a list or a text with spaces. A path has dots: "
        "`realm_access.roles`.",
    )
    auth_scopes_claim: Claim = Field(default="scope", description="The claim with the scopes.")
    auth_tenant_claim: Claim = Field(
        default="tenant", description="The claim with the tenant that a caller is confined to."
    )
    auth_party_claim: Claim = Field(
        default="party", description="The claim with the party that a caller is confined to."
    )
    auth_subject_claim: Claim = Field(
        default="sub",
        description="The claim that names the caller, in events too. It has to be unique for ever.",
    )
    auth_roles: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(listed),
        AfterValidator(_renamed),
        Field(max_length=100),
        form("names"),
    ] = Field(
        default=(),
        description="Which role each role of the issuer is here, `theirs=ours`, comma-separated. "
        "Empty: they have our names. Not empty: others give nothing.",
    )
    four_eyes: Annotated[Literal["on", "off"] | None, Unset] = Field(
        default=None,
        description="Whether a second person approves what moves money: interventions other than "
        "a retry, and what the business says. Unset: `on`, but `off` in development.",
    )
    auth_key_seconds: Annotated[Seconds, Field(le=60)] = Field(
        default=5,
        description="How long an API process remembers an API key that it has looked up: so long "
        "a revoked key may go on working.",
    )
    api_token: Annotated[str | None, Unset, AfterValidator(_token), secret_of()] = Field(
        default=None,
        repr=False,
        description="The token or the API key that commands sign in with at the API.",
    )
