"""The key ring that encrypts payloads at Temporal: a file of AES-256 keys, re-read when it changes.

    {"keys": [{"id": "2026-11-30-3f9c2a", "from": "2026-11-30T10:00:00+00:00", "key": "…base64…"}]}

All of them decrypt. The newest encrypts whose time (`from`) has come: so a new key can reach every
process before the first payload is encrypted with it.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import orjson
import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
LARGEST_RING: Final = 64 * 1024
"""Bytes of the file: some hundreds of keys."""
LONGEST_ID: Final = 64
_LOOKS_EVERY: Final = 1.0
"""Seconds between two looks at the file, while every key that is asked for is known."""
_log = structlog.get_logger(__name__)


class BadKeyRing(ValueError):
    """The file of payload keys cannot be used. The sentence never has a key in it."""


class UnknownPayloadKey(LookupError):
    """The payload is encrypted under a key that this process does not have: add it to the file of
    HANDRAIL_PAYLOAD_KEYS_FILE, which is read again at once. Until then another worker, which has
    it, may take the task.
    """

    def __init__(self, key_id: str) -> None:
        said = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{said} [{key_id}]")
        self.key_id = key_id


@dataclass(frozen=True)
class PayloadKey:
    id: str
    encrypts_from: datetime
    secret: bytes = field(repr=False)

    def as_json(self) -> dict[str, str]:
        return {
            "id": self.id,
            "from": self.encrypts_from.isoformat(),
            "key": base64.b64encode(self.secret).decode(),
        }


@dataclass(frozen=True)
class Cipher:
    """A key, ready to be used."""

    id: bytes
    aead: AESGCM = field(repr=False)


@dataclass
class KeyRing:
    """The keys of a file. Raises BadKeyRing where the file cannot be used when it is first read.

    A file that is spoilt later is an error in the log, and the keys stay as they were.
    """

    path: Path
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _keys: tuple[PayloadKey, ...] = field(default=(), init=False, repr=False)
    _ciphers: Mapping[bytes, Cipher] = field(default_factory=dict, init=False, repr=False)
    _encrypting: Cipher | None = field(default=None, init=False, repr=False)
    _seen: tuple[int, ...] = field(default=(), init=False, repr=False)
    _looks_at: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        seen = _look(self.path)
        self._take(read_ring(self.path), seen)
        if self._encrypting is None:
            raise BadKeyRing(f"{self.path} has no key whose time has come")

    @property
    def encrypting(self) -> Cipher:
        """The newest key whose time has come."""
        if time.monotonic() >= self._looks_at:
            self._read_again()
        return cast("Cipher", self._encrypting)

    def decrypting(self, key_id: bytes) -> Cipher:
        """Raises UnknownPayloadKey, after a look at the file."""
        found = self._ciphers.get(key_id)
        if found is None:
            self._read_again()
            found = self._ciphers.get(key_id)
        if found is None:
            raise UnknownPayloadKey(key_id[:LONGEST_ID].decode("ascii", "replace"))
        return found

    def _read_again(self) -> None:
        try:
            seen = _look(self.path)
            if seen != self._seen:
                self._take(read_ring(self.path), seen)
                _log.info("payload keys read", keys=[one.id for one in self._keys])
        except BadKeyRing as bad:
            _log.error("payload keys not read: those from before stay", error=str(bad))
        self._choose()

    def _take(self, keys: tuple[PayloadKey, ...], seen: tuple[int, ...]) -> None:
        self._keys, self._seen = keys, seen
        self._ciphers = {
            one.id.encode(): Cipher(one.id.encode(), AESGCM(one.secret)) for one in keys
        }
        self._choose()

    def _choose(self) -> None:
        self._looks_at = time.monotonic() + _LOOKS_EVERY
        newest = encrypting_of(self._keys, self.clock())
        if newest:
            self._encrypting = self._ciphers[newest.id.encode()]


def encrypting_of(keys: tuple[PayloadKey, ...], now: datetime) -> PayloadKey | None:
    """Of those whose time has come, the newest; of two with one time, the later in the file."""
    found = [one for one in keys if one.encrypts_from <= now]
    return max(reversed(found), key=lambda one: one.encrypts_from) if found else None


def read_ring(path: Path) -> tuple[PayloadKey, ...]:
    """Raises BadKeyRing."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_RING + 1)
    except OSError as error:
        raise BadKeyRing(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_RING:
        raise BadKeyRing(f"{path} is larger than {LARGEST_RING} bytes")
    try:
        listed = orjson.loads(content)["keys"]
        keys = tuple(_key(one) for one in listed)
    except BadKeyRing:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadKeyRing(
            f"{path} is no file of payload keys: `handrail payload-keys new {path}` writes one"
        ) from None
    if not keys:
        raise BadKeyRing(f"{path} has no key: `handrail payload-keys new {path}` writes one")
    if len({one.id for one in keys}) < len(keys):
        raise BadKeyRing(f"{path} has two keys of one id")
    return keys


def _key(found: Mapping[str, Any]) -> PayloadKey:
    id_, at = str(found["id"]), datetime.fromisoformat(found["from"])
    if not (0 < len(id_) <= LONGEST_ID and id_.isascii() and id_.isprintable()):
        raise BadKeyRing("a payload key has an id that is not 1 to 64 visible ASCII characters")
    if at.tzinfo is None:
        raise BadKeyRing(f"the payload key {id_} has a time without a time zone")
    try:
        secret = base64.b64decode(found["key"], validate=True)
    except binascii.Error:
        raise BadKeyRing(f"the payload key {id_} is not base64") from None
    if len(secret) != KEY_BYTES:
        raise BadKeyRing(f"the payload key {id_} has not {KEY_BYTES} bytes")
    return PayloadKey(id_, at, secret)


def new_key(encrypts_from: datetime) -> PayloadKey:
    id_ = f"{encrypts_from:%Y-%m-%d}-{secrets.token_hex(3)}"
    return PayloadKey(id_, encrypts_from, secrets.token_bytes(KEY_BYTES))


def begin_ring(path: Path) -> PayloadKey:
    """A file with one key. Raises FileExistsError where there is one."""
    if path.exists():
        raise FileExistsError(path)
    key = new_key(datetime.now(UTC))
    _write(path, (key,))
    return key


def rotate_ring(path: Path, after: timedelta, *, keep: int = 0) -> PayloadKey:
    """Adds a key that encrypts once `after` is over. `keep` drops all but so many of the others,
    newest first; 0 drops none. Raises BadKeyRing.
    """
    keys = read_ring(path)
    key = new_key(datetime.now(UTC) + after)
    _write(path, (*(keys[-keep:] if keep else keys), key))
    return key


def _write(path: Path, keys: tuple[PayloadKey, ...]) -> None:
    """At once, for the owner alone: a reader finds the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    content = orjson.dumps({"keys": [one.as_json() for one in keys]}, option=orjson.OPT_INDENT_2)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _look(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError as error:
        raise BadKeyRing(f"{path} cannot be read: {error.strerror}") from None
    return found.st_ino, found.st_mtime_ns, found.st_size
