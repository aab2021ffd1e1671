"""The claims of a token, as a principal: which hold its name, roles, scopes, tenant and party."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from handrail import bounds
from handrail.access.authentication import NotSignedIn
from handrail.access.principal import Kind, Principal
from handrail.access.roles import SERVICE, Access

_MOST_NAMES: Final = 200
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, kw_only=True)
class ClaimNames:
    """Which claim holds what. `role_names` are our names of the issuer's roles; where it is empty,
    they have the same names.
    """

    roles: str = "roles"
    scopes: str = "scope"
    tenant: str = "tenant"
    party: str = "party"
    subject: str = "sub"
    role_names: Mapping[str, str] = field(default_factory=dict)


def principal_of(claims: Mapping[str, Any], names: ClaimNames, access: Access) -> Principal:
    """The principal of a token that was verified. Raises NotSignedIn where a claim is missing or
    malformed.
    """
    subject = _at(claims, names.subject)
    if bounds.PRINCIPAL.wrong_with(subject):
        raise NotSignedIn(f"the claim {names.subject} of the token is missing or malformed")
    roles = set(_listed(claims, names.roles))
    if names.role_names:
        roles = {names.role_names[role] for role in roles if role in names.role_names}
    principal = Principal(
        kind=_kind(claims, roles),
        subject=subject,
        scopes=access.granted(roles, _listed(claims, names.scopes)),
        tenant=_id(claims, names.tenant),
        party=_id(claims, names.party),
    )
    if wrong := unconfined(principal, roles, access):
        raise NotSignedIn(f"the token {wrong}")
    return principal


def unconfined(principal: Principal, roles: set[str], access: Access) -> str:
    """What is wrong with a principal that has the role of a tenant or a party, and names none."""
    if access.tenant_role in roles and not principal.tenant:
        return f"has the role {access.tenant_role}, and does not say of which"
    if access.party_role in roles and not principal.party:
        return f"has the role {access.party_role}, and does not say of which"
    return ""


def _kind(claims: Mapping[str, Any], roles: set[str]) -> Kind:
    """RFC 9068: of a program that signs in for itself, the subject is the client."""
    client = claims.get("client_id", claims.get("azp"))
    itself = client is not None and client == claims.get("sub")
    return "service" if itself or SERVICE in roles else "person"


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of this name, or else at this path: names of claims may have dots in them."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def _listed(claims: Mapping[str, Any], name: str) -> list[str]:
    found = _at(claims, name)
    if found is None:
        return []
    if isinstance(found, str):
        found = found.split()
    right = isinstance(found, list) and len(found) <= _MOST_NAMES
    if not right or not all(isinstance(one, str) and len(one) <= _LONGEST_NAME for one in found):
        raise NotSignedIn(f"the claim {name} of the token is malformed")
    return list(found)


def _id(claims: Mapping[str, Any], name: str) -> str:
    found = _at(claims, name)
    if found is None:
        return ""
    if bounds.ID.wrong_with(found):
        raise NotSignedIn(f"the claim {name} of the token is malformed")
    return str(found)
