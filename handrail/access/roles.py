"""Scopes and roles: which rights there are, and which of them a role has.

A route names the scopes that it needs; a principal has scopes, by its roles or on their own. These
are the library's; a business adds its scopes, and gives them to roles, in `App.access`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

ACT_AS: Final = "act-as"
APPROVE: Final = "proposals:approve"
MANAGE_ENDPOINTS: Final = "webhook-endpoints:manage"

SCOPES: Final[Mapping[str, str]] = {
    "sagas:read": "Read sagas, their events and figures, and interventions.",
    "sagas:intervene": "Let parked sagas go on, cancel sagas, and begin them again.",
    "sagas:answer": "Answer a saga that waits for the verdict of a person.",
    "audit:read": "Read the events of every stream.",
    "webhooks:read": "Read the webhooks that came, with their bodies.",
    "webhooks:operate": "Have a webhook handled again.",
    "webhook-endpoints:read": "Read webhook endpoints of tenants, and what was sent there.",
    MANAGE_ENDPOINTS: "Register webhook endpoints, and change, test and delete them.",
    "consumers:read": "Read what waits at consumers, read models and the relay.",
    "consumers:operate": "Have what is parked handled again, or a parked message discarded.",
    "metrics:read": "Read the metrics.",
    APPROVE: "Approve what another principal has proposed.",
    ACT_AS: "Name another actor in Handrail-Actor, or in a body.",
}
"""What each scope of the library allows."""

READER: Final = "reader"
"""Reads everything."""
OPERATOR: Final = "operator"
"""Reads everything, and steps in where something waits for a person."""
APPROVER: Final = "approver"
"""Reads everything, answers sagas that wait for the verdict of a person, and approves proposals."""
SERVICE: Final = "service"
"""A program that acts for people who are signed in elsewhere."""

_READING: Final = frozenset(name for name in SCOPES if name.endswith(":read"))
ROLES: Final[Mapping[str, frozenset[str]]] = {
    READER: _READING,
    OPERATOR: _READING
    | {"sagas:intervene", "webhooks:operate", "consumers:operate", MANAGE_ENDPOINTS},
    APPROVER: _READING | {"sagas:answer", APPROVE},
    SERVICE: frozenset({ACT_AS}),
}
"""The library's scopes of each role. The role of a tenant and that of a party have none of them:
what those may do is for the business to say."""

_SCOPE: Final = re.compile(r"[a-z][a-z0-9-]{0,30}(:[a-z][a-z0-9-]{0,30}){0,2}")
_ROLE: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, kw_only=True)
class Access:
    """What a business adds to scopes and roles.

    `scopes` are new ones with what each allows, in the words of the OpenAPI document. `roles` are
    the scopes that a role has beside those of the library; a name that is not known there is a new
    role. `tenant_role` and `party_role` are what the business calls a principal that is confined to
    one tenant, or to one party.
    """

    scopes: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, Collection[str]] = field(default_factory=dict)
    tenant_role: str = "tenant"
    party_role: str = "party"

    @cached_property
    def all_scopes(self) -> Mapping[str, str]:
        """With what each allows: the library's, then those of the business."""
        return {**SCOPES, **self.scopes}

    @cached_property
    def all_roles(self) -> Mapping[str, frozenset[str]]:
        """The scopes of each role."""
        names = dict.fromkeys((*ROLES, self.tenant_role, self.party_role, *self.roles))
        return {
            name: ROLES.get(name, frozenset()) | frozenset(self.roles.get(name, ()))
            for name in names
        }

    def granted(self, roles: Iterable[str], scopes: Iterable[str] = ()) -> frozenset[str]:
        """The scopes of these roles, and those named on their own. What is not known gives none: an
        issuer has roles and scopes for other services, too.
        """
        by_role = (self.all_roles.get(role, frozenset()) for role in roles)
        return frozenset().union(*by_role, self.all_scopes.keys() & set(scopes))

    def mistakes(self) -> Iterator[str]:
        """What is declared wrongly, as sentences."""
        for name in self.scopes:
            if name in SCOPES:
                yield f"access declares the scope {name}, which the library has: rename it"
            if not _SCOPE.fullmatch(name):
                yield f"access declares the scope {name!r}: name it like things:read"
        for name in (self.tenant_role, self.party_role, *self.roles):
            if not _ROLE.fullmatch(name):
                yield f"access declares the role {name!r}: name it in small letters and hyphens"
        if self.tenant_role == self.party_role:
            yield f"access calls both tenants and parties {self.party_role}: rename one of them"
        for name in {self.tenant_role, self.party_role} & ROLES.keys():
            yield f"access calls its tenants or parties {name}, a role of the library: rename it"
        for role, scopes in self.roles.items():
            for scope in sorted(set(scopes) - self.all_scopes.keys()):
                yield (
                    f"access gives {role} the scope {scope}, which does not exist: add it to scopes"
                )
