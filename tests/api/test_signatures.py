"""Signatures as Standard Webhooks has them: its published example, and laws."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handrail.bounds import MESSAGE
from handrail.webhook_signatures import (
    NotSigned,
    Stale,
    Unsigned,
    WrongSignature,
    key_of,
    new_secret,
    sign,
    verify,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

ids = st.from_regex(MESSAGE.pattern, fullmatch=True)
times = st.integers(min_value=0, max_value=10**11)
known_secrets = st.binary(min_size=24, max_size=64).map(
    lambda key: "whsec_" + base64.b64encode(key).decode()
)


def headers(id_: str = ID, timestamp: str = str(AT), signature: str = SIGNATURE) -> dict[str, str]:
    return {
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature,
    }


def check(
    given: dict[str, str],
    body: bytes = BODY,
    *,
    secrets: Sequence[str] = (SECRET,),
    now: float = AT,
    tolerance: float = 300,
) -> str:
    return verify(secrets, given, body, now, tolerance)


def test_the_published_example_is_signed_and_verified() -> None:
    assert sign(SECRET, ID, AT, BODY) == SIGNATURE
    assert check(headers()) == ID


@given(st.lists(known_secrets, min_size=1, max_size=4), ids, times, st.binary(), st.data())
def test_what_is_signed_with_any_secret_that_is_known_is_verified(
    secrets: list[str], id_: str, timestamp: int, body: bytes, data: st.DataObject
) -> None:
    signed = sign(data.draw(st.sampled_from(secrets)), id_, timestamp, body)
    others = data.draw(st.lists(st.sampled_from(["v1,bm9uZQ==", "v1a,bm9uZQ==", "v2,x"])))
    several = data.draw(st.permutations([signed, *others]))
    found = headers(id_, str(timestamp), " ".join(several))
    assert verify(secrets, found, body, timestamp, 0) == id_


messages = st.tuples(ids, times, st.binary())


@given(known_secrets, messages, messages)
def test_a_signature_is_of_one_message_only(
    secret: str, signed: tuple[str, int, bytes], sent: tuple[str, int, bytes]
) -> None:
    assume(signed != sent)
    choices = ((signed[0], sent[0]), (signed[1], sent[1]), (signed[2], sent[2]))
    for id_, timestamp, body in itertools.product(*choices):
        found = headers(id_, str(timestamp), sign(secret, *signed))
        if (id_, timestamp, body) == signed:
            assert verify([secret], found, body, timestamp, 0) == id_
        else:
            with pytest.raises(WrongSignature):
                verify([secret], found, body, timestamp, 0)


@given(known_secrets, known_secrets)
def test_another_secret_is_not_enough(mine: str, theirs: str) -> None:
    if mine == theirs:
        return
    with pytest.raises(WrongSignature):
        check(headers(signature=sign(theirs, ID, AT, BODY)), secrets=[mine])


def test_a_message_is_verified_during_a_rotation_on_either_side() -> None:
    old, new = new_secret(), new_secret()
    both = f"{sign(new, ID, AT, BODY)} {sign(old, ID, AT, BODY)}"
    assert check(headers(signature=sign(old, ID, AT, BODY)), secrets=[new, old]) == ID
    assert check(headers(signature=both), secrets=[old]) == ID
    with pytest.raises(WrongSignature):
        check(headers(signature=sign(old, ID, AT, BODY)), secrets=[new])


@pytest.mark.parametrize("off", [-301, 301, 301.5])
def test_a_message_that_is_too_old_or_from_the_future_is_stale(off: float) -> None:
    with pytest.raises(Stale):
        check(headers(), now=AT + off)


@pytest.mark.parametrize("off", [-300, 0, 299.9, 300])
def test_a_clock_may_be_a_little_off(off: float) -> None:
    assert check(headers(), now=AT + off) == ID


def test_only_who_knows_a_secret_learns_that_a_message_is_stale() -> None:
    with pytest.raises(WrongSignature):
        check(headers(signature="v1,bm9uZQ=="), now=AT + 10_000)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", ""),
        ("webhook-id", "a.b"),
        ("webhook-id", "a b"),
        ("webhook-id", "a\n"),
        ("webhook-id", "a" * 129),
        ("webhook-timestamp", ""),
        ("webhook-timestamp", "now"),
        ("webhook-timestamp", "-1"),
        ("webhook-timestamp", "1e9"),
        ("webhook-timestamp", "1614265330.0"),
        ("webhook-timestamp", "٣"),
        ("webhook-timestamp", "9" * 5000),
        ("webhook-signature", ""),
        ("webhook-signature", "v1"),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,a,b"),
        ("webhook-signature", "v1,ä"),
        ("webhook-signature", f"{SIGNATURE} "),
        ("webhook-signature", f"{SIGNATURE}  {SIGNATURE}"),
    ],
)
def test_a_malformed_header_is_named(header: str, value: str) -> None:
    with pytest.raises(Unsigned) as found:
        check(headers() | {header: value})
    assert found.value.header == header


@pytest.mark.parametrize("header", headers())
def test_a_missing_header_is_named(header: str) -> None:
    found = headers()
    del found[header]
    with pytest.raises(Unsigned) as missing:
        check(found)
    assert missing.value.header == header


@given(st.dictionaries(st.sampled_from([*headers()]), st.text(max_size=40)), st.binary(max_size=40))
def test_whatever_is_sent_unsigned_is_refused_and_nothing_else_goes_wrong(
    found: dict[str, str], body: bytes
) -> None:
    with pytest.raises(NotSigned):
        check(headers(signature="v1,bm9uZQ==") | found, body)


def test_without_secrets_nothing_is_verified() -> None:
    with pytest.raises(WrongSignature):
        check(headers(), secrets=[])


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_MfKQ9r8G KYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_" + base64.b64encode(b"k" * 23).decode(),
        "whsec_" + base64.b64encode(b"k" * 65).decode(),
        "whsec_ümlaut",
    ],
)
def test_what_is_no_secret_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="must look like whsec_…") as found:
        key_of(secret)
    assert len(secret) < 10 or secret.removeprefix("whsec_") not in str(found.value)


def test_every_new_secret_is_another() -> None:
    made = {new_secret() for _ in range(5)}
    assert len({key_of(secret) for secret in made}) == 5
