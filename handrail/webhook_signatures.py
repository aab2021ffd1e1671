"""Signed webhooks by Standard Webhooks (https://www.standardwebhooks.com), both ways.

What is signed is `{id}.{timestamp}.{body}`, by HMAC-SHA256. A message may carry several signatures
and a receiver may know several secrets: so a secret is changed while messages are under way.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as randomness
from collections.abc import Mapping, Sequence
from typing import Final

from handrail import bounds

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

_PREFIX: Final = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes of a secret


class NotSigned(Exception):
    """The message is not taken for what it says it is; the text may be told to the sender."""


class Unsigned(NotSigned):
    """A header is missing or malformed."""

    def __init__(self, header: str, said: str) -> None:
        super().__init__(f"{header}: {said}")
        self.header = header
        self.said = said


class WrongSignature(NotSigned):
    """No signature was made over this message with a secret that is known here."""


class Stale(NotSigned):
    """It is signed, and too old or from the future: a copy, or a clock that is wrong."""


def new_secret() -> str:
    return _PREFIX + base64.b64encode(randomness.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """Raises ValueError, which does not repeat the secret."""
    said = f"must look like {_PREFIX}…: {_SHORTEST} to {_LONGEST} bytes in base64"
    if not secret.startswith(_PREFIX):
        raise ValueError(said)
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(said) from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(said)
    return key


def sign(secret: str, id_: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`; `timestamp` is in seconds since 1970."""
    return _signature(secret, id_, str(timestamp), body)


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    tolerance: float,
) -> str:
    """The id of the message, which is now known to come from who has one of the secrets.

    The names of `headers` are in lower case. `now` is in seconds since 1970, and the timestamp may
    be `tolerance` seconds away from it, either way. Raises NotSigned.
    """
    id_ = _header(headers, ID, bounds.MESSAGE, "1 to 128 letters, digits and _ : ~ -")
    timestamp = _header(headers, TIMESTAMP, bounds.TIMESTAMP, "whole seconds since 1970")
    given = _header(headers, SIGNATURE, bounds.SIGNATURES, "such as v1,base64, separated by spaces")
    expected = [_signature(secret, id_, timestamp, body) for secret in secrets]
    # Every pair is compared, so that time tells neither which secret fits nor how well.
    fits = [
        hmac.compare_digest(theirs.encode(), ours.encode())
        for theirs in given.split(" ")
        for ours in expected
    ]
    if not any(fits):
        raise WrongSignature("no signature fits the message")
    if abs(now - int(timestamp)) > tolerance:
        raise Stale(f"the timestamp is more than {tolerance:g} seconds from now")
    return id_


def _signature(secret: str, id_: str, timestamp: str, body: bytes) -> str:
    content = f"{id_}.{timestamp}.".encode() + body
    digest = hmac.digest(key_of(secret), content, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _header(headers: Mapping[str, str], name: str, form: bounds.Text, said: str) -> str:
    value = headers.get(name)
    if value is None:
        raise Unsigned(name, "this header is needed here")
    if form.wrong_with(value):
        raise Unsigned(name, said)
    return value
