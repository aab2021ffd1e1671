"""The authentication that the settings ask for; a process with wrong ones ends with one line."""

from __future__ import annotations

from collections.abc import Mapping

from handrail.access.api_keys import ApiKeys, Connect
from handrail.access.authentication import Authentication, Development
from handrail.access.claims import ClaimNames
from handrail.access.issuer import IssuerAddress, IssuerFile
from handrail.access.key_set import KeySet
from handrail.access.loopback import is_loopback
from handrail.access.roles import Access
from handrail.access.settings import Way
from handrail.access.sign_in import SignIn
from handrail.access.tokens import TokenVerifier, Trust
from handrail.refused_settings import refuse, require
from handrail.settings import Settings


def authentication_of(access: Access, settings: Settings, connect: Connect) -> Authentication:
    """How callers of the API sign in; API keys are looked up by `connect`. Ends the process where
    the settings do not say, or where what they say is not safe on the interface of the API.
    """
    way = way_of(settings)
    if way == "development":
        return Development(access)
    keys = ApiKeys(connect, access, seconds=settings.auth_key_seconds)
    return SignIn(keys, _tokens(access, settings) if way == "oidc" else None)


def needs_four_eyes(settings: Settings) -> bool:
    """Whether a second person approves what moves money. One anonymous caller is no two persons, so
    in development it is off where nothing is said.
    """
    if settings.four_eyes is None:
        return settings.auth != "development"
    return settings.four_eyes == "on"


def way_of(settings: Settings) -> Way:
    """How callers sign in. Ends the process where the settings do not say, or are not safe."""
    way = settings.auth or ("oidc" if settings.auth_issuer else None)
    if way is None:
        refuse("HANDRAIL_AUTH: is needed here: oidc, keys, or development on this machine only")
    if way == "development":
        _refuse_unsafe(settings)
    return way


def _refuse_unsafe(settings: Settings) -> None:
    if settings.auth_issuer:
        refuse("HANDRAIL_AUTH: is development, and HANDRAIL_AUTH_ISSUER is set: unset one of them")
    if not is_loopback(settings.api_host):
        refuse(
            "HANDRAIL_AUTH: development lets every caller do everything, and the API would listen"
            f" on {settings.api_host}: set HANDRAIL_API_HOST to 127.0.0.1, or let callers sign in"
            " (oidc, keys)",
        )


def _tokens(access: Access, settings: Settings) -> TokenVerifier:
    require(settings, "auth_issuer", "auth_audience")
    issuer, audience = settings.auth_issuer or "", settings.auth_audience or ""
    if settings.auth_jwks_file and settings.auth_jwks_url:
        refuse("HANDRAIL_AUTH_JWKS_FILE: is set beside HANDRAIL_AUTH_JWKS_URL: unset one of them")
    source = (
        IssuerFile(settings.auth_jwks_file)
        if settings.auth_jwks_file
        else IssuerAddress(issuer, settings.auth_jwks_url, settings.auth_ca_file)
    )
    keys = KeySet(
        source.load, fresh=settings.auth_jwks_seconds, stale=settings.auth_jwks_stale_seconds
    )
    trust = Trust(
        issuer=issuer,
        audience=audience,
        algorithms=settings.auth_algorithms,
        clock_skew=settings.auth_clock_skew_seconds,
        oldest=settings.auth_token_seconds,
    )
    return TokenVerifier(trust, keys, access, _names(settings))


def _names(settings: Settings) -> ClaimNames:
    return ClaimNames(
        roles=settings.auth_roles_claim,
        scopes=settings.auth_scopes_claim,
        tenant=settings.auth_tenant_claim,
        party=settings.auth_party_claim,
        subject=settings.auth_subject_claim,
        role_names=_role_names(settings),
    )


def _role_names(settings: Settings) -> Mapping[str, str]:
    split = (one.rpartition("=") for one in settings.auth_roles)
    return {theirs: ours for theirs, _, ours in split}
