"""Bearer tokens of an issuer: which are believed, and what principal they make."""

from __future__ import annotations

import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from handrail.access.authentication import NotSignedIn
from handrail.access.claims import ClaimNames
from handrail.access.principal import EVERYTHING, Visibility
from tests.access.issuer import AUDIENCE, Issuer, a_key, verifier


async def refused(issuer: Issuer, token: str, said: str, **how: Any) -> None:
    with pytest.raises(NotSignedIn, match=said):
        await verifier(issuer, **how).principal(token)


@pytest.mark.parametrize(("kind", "alg"), [("EC", "ES256"), ("RSA", "RS256"), ("OKP", "EdDSA")])
async def test_a_token_of_the_issuer_is_believed(issuer: Issuer, kind: str, alg: str) -> None:
    issuer.keys = [a_key("two", kind)]
    found = await verifier(issuer).principal(issuer.token(alg=alg, roles=["operator"]))
    assert found.actor == "person:anna"
    assert "sagas:intervene" in found.scopes
    assert found.visibility == EVERYTHING


async def test_a_token_without_the_name_of_its_key_is_believed_where_one_key_fits(
    issuer: Issuer,
) -> None:
    key = RSAKey.generate_key(2048)
    issuer.keys = [a_key("one"), key]
    assert (await verifier(issuer).principal(issuer.token(alg="RS256"))).subject == "anna"


async def test_scopes_of_a_token_are_those_that_exist(issuer: Issuer) -> None:
    token = issuer.token(scope="openid orders:read profile sagas:raed")
    assert (await verifier(issuer).principal(token)).scopes == {"orders:read"}


async def test_roles_at_a_path_and_under_other_names(issuer: Issuer) -> None:
    names = ClaimNames(roles="realm_access.roles", role_names={"ops": "reader"})
    token = issuer.token(realm_access={"roles": ["ops", "operator"]})
    found = await verifier(issuer, names=names).principal(token)
    assert "sagas:read" in found.scopes
    assert "sagas:intervene" not in found.scopes


async def test_a_claim_may_have_dots_in_its_name(issuer: Issuer) -> None:
    names = ClaimNames(roles="https://shop.example/roles")
    claims: dict[str, Any] = {"https://shop.example/roles": "reader"}
    token = issuer.token(**claims)
    assert "sagas:read" in (await verifier(issuer, names=names).principal(token)).scopes


async def test_a_token_of_a_tenant_is_confined_to_it(issuer: Issuer) -> None:
    found = await verifier(issuer).principal(issuer.token(roles=["merchant"], tenant="m-1"))
    assert found.visibility == Visibility(tenant="m-1")


@pytest.mark.parametrize("role", ["merchant", "customer"])
async def test_a_role_that_is_confined_to_nothing_is_refused(issuer: Issuer, role: str) -> None:
    await refused(issuer, issuer.token(roles=[role]), f"role {role}, and does not say of which")


async def test_a_program_that_signs_in_for_itself_is_a_service(issuer: Issuer) -> None:
    token = issuer.token(sub="frontend", client_id="frontend")
    assert (await verifier(issuer).principal(token)).actor == "service:frontend"


async def test_a_token_that_has_expired_is_refused(issuer: Issuer) -> None:
    await refused(issuer, issuer.token(exp=int(time.time()) - 31), "has expired")


async def test_a_clock_that_is_off_a_little_is_borne(issuer: Issuer) -> None:
    token = issuer.token(exp=int(time.time()) - 10)
    assert (await verifier(issuer).principal(token)).subject == "anna"


async def test_a_token_that_was_verified_before_is_refused_once_it_has_expired(
    issuer: Issuer,
) -> None:
    token, ahead = issuer.token(), [0.0]
    one = verifier(issuer)
    one._clock = lambda: time.time() + ahead[0]
    assert await one.principal(token)
    ahead[0] = 400
    with pytest.raises(NotSignedIn, match="has expired"):
        await one.principal(token)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"aud": "https://other.example"}, "the claim aud"),
        ({"aud": ["https://other.example"]}, "the claim aud"),
        ({"aud": {"a": 1}}, "the claim aud"),
        ({"aud": None}, "lacks one of the claims"),
        ({"iss": "https://evil.example"}, "the claim iss"),
        ({"iss": None}, "lacks one of the claims"),
        ({"exp": None}, "lacks one of the claims"),
        ({"exp": "tomorrow"}, "the claim exp"),
        ({"exp": True}, "the claim exp"),
        ({"iat": None}, "lacks one of the claims"),
        ({"iat": 10**400}, "the claim iat|malformed"),
        ({"iat": 4102444800}, "the claim iat"),
        ({"nbf": 4102444800}, "the claim nbf"),
        ({"sub": None}, "the claim sub"),
        ({"sub": ""}, "the claim sub"),
        ({"sub": "anna for ceo"}, "the claim sub"),
        ({"sub": "a" * 101}, "the claim sub"),
        ({"sub": 7}, "the claim sub"),
        ({"roles": {"operator": True}}, "the claim roles"),
        ({"roles": [7]}, "the claim roles"),
        ({"roles": ["reader"] * 201}, "the claim roles"),
        ({"tenant": "m-1/../m-2"}, "the claim tenant"),
        ({"tenant": ["m-1"]}, "the claim tenant"),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(
    issuer: Issuer, claims: dict[str, Any], said: str
) -> None:
    await refused(issuer, issuer.token(**claims), said)


async def test_several_audiences_may_have_ours_among_them(issuer: Issuer) -> None:
    token = issuer.token(aud=["https://other.example", AUDIENCE])
    assert (await verifier(issuer).principal(token)).subject == "anna"


async def test_a_token_that_lasts_for_years_is_refused_once_it_is_old(issuer: Issuer) -> None:
    now = int(time.time())
    await refused(issuer, issuer.token(iat=now - 3700, exp=now + 10**8), "too old")


async def test_an_unsigned_token_is_refused(issuer: Issuer) -> None:
    for alg in ("none", "None", "nOnE", "HS256"):
        await refused(issuer, issuer.unsigned(alg), "algorithm that is not accepted")


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(issuer: Issuer) -> None:
    await refused(issuer, issuer.confused(), "algorithm that is not accepted")


async def test_a_key_is_used_only_for_its_own_kind_of_signature(issuer: Issuer) -> None:
    issuer.keys = [a_key("one", "RSA")]
    other = a_key("one")
    await refused(issuer, issuer.token(key=other), "a key that the issuer does not have")


async def test_an_algorithm_that_is_not_configured_is_refused(issuer: Issuer) -> None:
    await refused(issuer, issuer.token(), "not accepted", algorithms=("RS256",))


async def test_a_token_of_another_key_with_the_same_name_is_refused(issuer: Issuer) -> None:
    await refused(issuer, issuer.token(key=a_key("one")), "signature of the token does not fit")


async def test_a_key_that_the_token_brings_along_counts_for_nothing(issuer: Issuer) -> None:
    mine = a_key("one")
    header = {"alg": "ES256", "kid": "one", "jwk": mine.as_dict(private=False)}
    claims = {"iss": issuer.address, "aud": AUDIENCE, "sub": "eve", "exp": 4102444800}
    token = jwt.encode(header, claims | {"iat": int(time.time())}, mine, algorithms=["ES256"])
    await refused(issuer, token, "signature of the token does not fit")


async def test_a_token_for_something_else_is_refused(issuer: Issuer) -> None:
    now = int(time.time())
    claims = {"iss": issuer.address, "aud": AUDIENCE, "sub": "anna", "iat": now, "exp": now + 60}
    header = {"alg": "ES256", "kid": "one", "typ": "logout+jwt"}
    token = jwt.encode(header, claims, issuer.keys[0], algorithms=["ES256"])
    await refused(issuer, token, "for something else")


@pytest.mark.parametrize(
    "token",
    ["", "a", "a.b", "a.b.c", "....", "e30.e30.e30", "W10.e30.e30", "a" * 20_000, "ey\u0000.b.c"],
)
async def test_what_is_no_token_is_refused(issuer: Issuer, token: str) -> None:
    await refused(issuer, token, "neither a signed token|algorithm")


async def test_a_refusal_repeats_nothing_of_the_token(issuer: Issuer) -> None:
    token = issuer.token(tenant="<script>", roles=["merchant"])
    with pytest.raises(NotSignedIn) as error:
        await verifier(issuer).principal(token)
    assert "script" not in str(error.value)
