"""Scopes and roles: what a business declares, and what a role has."""

from __future__ import annotations

import pytest

from handrail.access.roles import OPERATOR, READER, ROLES, SCOPES, SERVICE, Access
from handrail.app import App
from handrail.wrongly_declared import WronglyDeclared
from runtime.app import HANDRAIL

ACCESS = Access(
    scopes={"trips:read": "Read trips.", "trips:write": "Book trips."},
    roles={READER: {"trips:read"}, "team": {"trips:write"}, "auditor": {"audit:read"}},
    tenant_role="team",
)


def test_a_role_has_the_scopes_of_the_library_and_those_of_the_business() -> None:
    assert ACCESS.granted([READER]) == ROLES[READER] | {"trips:read"}


def test_a_role_of_a_tenant_has_only_what_the_business_gives_it() -> None:
    assert ACCESS.granted(["team"]) == {"trips:write"}


def test_several_roles_and_scopes_add_up() -> None:
    assert ACCESS.granted(["auditor", "team"], ["metrics:read"]) == {
        "audit:read",
        "trips:write",
        "metrics:read",
    }


def test_roles_and_scopes_for_other_services_give_nothing() -> None:
    assert ACCESS.granted(["vpn-user"], ["openid", "profile"]) == frozenset()


def test_only_an_operator_intervenes_in_sagas() -> None:
    assert [name for name, scopes in ROLES.items() if "sagas:intervene" in scopes] == [OPERATOR]


def test_no_role_of_people_acts_for_others() -> None:
    acting = {role for role, scopes in HANDRAIL.access.all_roles.items() if "act-as" in scopes}
    assert acting == {SERVICE}


def test_no_role_both_proposes_and_approves() -> None:
    roles = HANDRAIL.access.all_roles.values()
    assert not [one for one in roles if {"sagas:intervene", "proposals:approve"} <= one]


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (Access(scopes={"audit:read": "x"}), "the scope audit:read, which the library has"),
        (Access(scopes={"Trips": "x"}), "the scope 'Trips': name it like things:read"),
        (Access(roles={"team": {"trips:raed"}}), "team the scope trips:raed, which does not exist"),
        (Access(roles={"Team": ()}), "the role 'Team': name it in small letters"),
        (Access(tenant_role="reader"), "reader, a role of the library: rename it"),
        (Access(tenant_role="x", party_role="x"), "both tenants and parties x: rename one"),
    ],
)
def test_an_app_with_wrong_rights_is_refused(access: Access, said: str) -> None:
    with pytest.raises(WronglyDeclared, match=said):
        App(contexts=(), access=access)


def test_every_scope_says_what_it_allows() -> None:
    assert all(said.endswith(".") for said in {**SCOPES, **HANDRAIL.access.scopes}.values())
