"""The issuer's keys: cached, rotated, kept while it is away, and never read too often."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from joserfc.jwk import OctKey, RSAKey

from handrail.access.authentication import NotSignedIn, SignInUnavailable
from handrail.access.issuer import IssuerFile
from handrail.access.key_set import KeySet, NotKeys, keys_in
from tests.access.issuer import Clock, Issuer, a_key, key_set, verifier


async def test_keys_are_read_once_for_many_tokens(issuer: Issuer) -> None:
    one = verifier(issuer)
    await asyncio.gather(*(one.principal(issuer.token(sub=f"p{n}")) for n in range(20)))
    assert issuer.asked == 1


async def test_a_new_key_of_the_issuer_is_found(issuer: Issuer) -> None:
    clock = Clock()
    one = verifier(issuer, keys=key_set(issuer, clock))
    await one.principal(issuer.token())
    issuer.keys.append(a_key("two"))
    clock.now += 10
    assert (await one.principal(issuer.token())).subject == "anna"


async def test_invented_names_of_keys_do_not_reach_the_issuer(issuer: Issuer) -> None:
    clock = Clock()
    one = verifier(issuer, keys=key_set(issuer, clock))
    await one.principal(issuer.token())
    clock.now += 10
    for number in range(20):
        with pytest.raises(NotSignedIn, match="a key that the issuer does not have"):
            await one.principal(issuer.token(key=a_key(f"invented-{number}")))
    assert issuer.asked == 2


async def test_a_token_of_a_key_that_was_withdrawn_is_refused(issuer: Issuer) -> None:
    clock = Clock()
    keys = key_set(issuer, clock)
    one = verifier(issuer, keys=keys)
    old = issuer.token()
    await one.principal(old)
    issuer.keys = [a_key("two")]
    clock.now += 301
    await one.principal(old)  # the keys are read again beside it
    assert keys._refresh
    await keys._refresh
    with pytest.raises(NotSignedIn, match="a key that the issuer does not have"):
        await one.principal(old)


async def test_old_keys_are_used_while_the_issuer_is_away(issuer: Issuer) -> None:
    clock = Clock()
    keys = key_set(issuer, clock)
    one = verifier(issuer, keys=keys)
    await one.principal(issuer.token())
    issuer.away = True
    clock.now += 3000
    assert (await one.principal(issuer.token(sub="bert"))).subject == "bert"
    assert keys._refresh
    await keys._refresh
    assert (await one.principal(issuer.token(sub="carl"))).subject == "carl"


async def test_too_old_keys_are_not_used(issuer: Issuer) -> None:
    clock = Clock()
    one = verifier(issuer, keys=key_set(issuer, clock))
    token = issuer.token()
    await one.principal(token)
    issuer.away = True
    clock.now += 3601
    with pytest.raises(SignInUnavailable):
        await one.principal(token)
    issuer.away = False
    clock.now += 600
    assert (await one.principal(token)).subject == "anna"


async def test_without_the_issuer_nobody_signs_in_and_it_is_not_asked_again_at_once(
    issuer: Issuer,
) -> None:
    issuer.away = True
    one = verifier(issuer, keys=key_set(issuer, Clock()))
    for _ in range(5):
        with pytest.raises(SignInUnavailable):
            await one.principal(issuer.token())
    assert issuer.asked == 0  # its discovery document was asked for, once


async def test_the_discovery_document_of_another_issuer_is_not_believed(issuer: Issuer) -> None:
    issuer.named_issuer = "https://evil.example"
    with pytest.raises(SignInUnavailable):
        await verifier(issuer).principal(issuer.token())


async def test_an_answer_that_is_too_long_is_not_read(issuer: Issuer) -> None:
    issuer.document = b" " * (256 * 1024 + 1)
    with pytest.raises(SignInUnavailable):
        await verifier(issuer).principal(issuer.token())


async def test_keys_in_a_file(issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [issuer.keys[0].as_dict(private=False)]}))
    keys = KeySet(IssuerFile(file).load, fresh=300, stale=3600)
    assert (await verifier(issuer, keys=keys).principal(issuer.token())).subject == "anna"
    assert issuer.asked == 0


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"7", b'{"keys": 7}', b'{"keys": []}', b"[" * 100_000]
)
def test_what_are_no_keys_is_refused(document: bytes) -> None:
    with pytest.raises(NotKeys):
        keys_in(document)


def test_secrets_and_weak_keys_and_keys_for_encryption_are_passed_over() -> None:
    weak = {"kty": "RSA", "e": "AQAB", "n": RSAKey.generate_key(2048).as_dict()["n"][:171]}
    secret = OctKey.generate_key(256).as_dict()
    encrypting = {**a_key("e").as_dict(private=False), "use": "enc"}
    good = a_key("good").as_dict(private=False)
    document = json.dumps({"keys": [weak, secret, encrypting, {"kty": "EC"}, 7, good]})
    assert list(keys_in(document.encode())) == ["good"]
