"""The issuer's public keys (JWKS): cached, read again in time, and kept while it is away."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

from handrail.access.authentication import NotSignedIn, SignInUnavailable

Key = ECKey | OKPKey | RSAKey
Load = Callable[[], Awaitable[bytes]]

_MOST_KEYS: Final = 100
_FEWEST_RSA_BITS: Final = 2048
_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 300.0
"""Seconds between two attempts to read keys: doubled after each that failed."""
_log = structlog.get_logger(__name__)


class NotKeys(ValueError):
    """What was read is no set of keys that can be used."""


@dataclass(frozen=True)
class _PublicKey:
    """`algorithm` is what its set says that it is for; empty where it does not say."""

    key: Key
    algorithm: str

    def fits(self, algorithm: str) -> bool:
        if self.algorithm not in {"", algorithm}:
            return False
        match algorithm, self.key:
            case ("ES256", ECKey()):
                return bool(self.key.curve_name == "P-256")
            case ("EdDSA" | "Ed25519", OKPKey()):
                return bool(self.key.curve_name == "Ed25519")
            case ("RS256", RSAKey()):
                return True
            case _:
                return False


class KeySet:
    """Finds the key of a token. `load` reads the set, bounded in time and size.

    After `fresh` seconds it is read again, beside the requests; where that fails, the keys are used
    for `stale` seconds in all. A key that is not known has the set read at once, with a pause
    between attempts, so that invented names of keys do not reach the issuer.
    """

    def __init__(
        self,
        load: Load,
        *,
        fresh: float,
        stale: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._fresh, self._stale = fresh, stale
        self._clock = clock
        self._keys: Mapping[str, _PublicKey] = {}
        self._read_at: float | None = None
        self._tried_at = float("-inf")
        self._failures = 0
        self._reading = asyncio.Lock()
        self._refresh: asyncio.Task[None] | None = None
        self.generation = 0
        """Grows whenever the keys have changed: what was verified before has to be again."""

    async def usable(self) -> None:
        """Have keys that may be used. Raises SignInUnavailable."""
        age = self._age
        if age > self._stale:
            await self._read_now()
            if self._age > self._stale:
                raise SignInUnavailable("the keys of the issuer cannot be read")
        elif age > self._fresh and self._may_try and self._refresh is None:
            self._refresh = asyncio.create_task(self._read_now())
            self._refresh.add_done_callback(self._refreshed)

    async def key(self, name: str | None, algorithm: str) -> Key:
        """The key of this name for this algorithm; without a name, the only one that fits.

        Raises NotSignedIn where there is none, and SignInUnavailable.
        """
        await self.usable()
        found = self._find(name, algorithm)
        if found is None and self._may_try:
            await self._read_now()
            found = self._find(name, algorithm)
        if found is not None:
            return found
        if self._failures:
            raise SignInUnavailable("the keys of the issuer cannot be read")
        raise NotSignedIn("the token is signed with a key that the issuer does not have")

    def _find(self, name: str | None, algorithm: str) -> Key | None:
        if name is not None:
            one = self._keys.get(name)
            return one.key if one and one.fits(algorithm) else None
        fitting = [one.key for one in self._keys.values() if one.fits(algorithm)]
        return fitting[0] if len(fitting) == 1 else None

    @property
    def _age(self) -> float:
        return float("inf") if self._read_at is None else self._clock() - self._read_at

    @property
    def _may_try(self) -> bool:
        pause = min(_FIRST_PAUSE * 2.0 ** min(self._failures, 10), _LONGEST_PAUSE)
        return self._clock() - self._tried_at >= pause

    async def _read_now(self) -> None:
        """Once for all that wait for it."""
        before = self._tried_at
        async with self._reading:
            if self._tried_at != before or not self._may_try:
                return
            self._tried_at = self._clock()
            try:
                keys = keys_in(await self._load())
            except Exception as error:  # noqa: BLE001  # whatever it is, the old keys stay
                self._failures += 1
                _log.warning("the issuer's keys cannot be read", error=_said(error))
                return
            self._failures, self._read_at = 0, self._clock()
            if _identities(keys) != _identities(self._keys):
                self.generation += 1
            self._keys = keys

    def _refreshed(self, _: asyncio.Task[None]) -> None:
        self._refresh = None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _identities(keys: Mapping[str, _PublicKey]) -> Mapping[str, str]:
    return {name: one.key.thumbprint() for name, one in keys.items()}


def keys_in(content: bytes) -> Mapping[str, _PublicKey]:
    """The public keys for signatures of a JWKS document, by name. Raises NotKeys.

    Symmetric keys, and keys that are too weak or for something else, are passed over.
    """
    try:
        listed = json.loads(content)["keys"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise NotKeys("it is no JSON object with a list of keys") from None
    if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
        raise NotKeys(f"it is no list of at most {_MOST_KEYS} keys")
    found: dict[str, _PublicKey] = {}
    for number, one in enumerate(listed):
        if isinstance(one, dict) and (key := _public_key(one)):
            name = one.get("kid", f"#{number}")
            if isinstance(name, str):
                found[name] = key
    if not found:
        raise NotKeys("it has no key that a signature can be verified with")
    return found


def _public_key(one: dict[str, Any]) -> _PublicKey | None:
    if one.get("use", "sig") != "sig":
        return None
    members = ("kty", "crv", "x", "y", "n", "e")  # and no others, such as the private ones
    public: dict[str, Any] = {name: one[name] for name in members if name in one}
    algorithm = one.get("alg", "")
    try:
        match one.get("kty"):
            case "EC":
                return _PublicKey(ECKey.import_key(public), str(algorithm))
            case "OKP":
                return _PublicKey(OKPKey.import_key(public), str(algorithm))
            case "RSA":
                strong = len(urlsafe_b64decode(one["n"].encode())) * 8 >= _FEWEST_RSA_BITS
                return _PublicKey(RSAKey.import_key(public), str(algorithm)) if strong else None
            case _:
                return None
    except (JoseError, ValueError, TypeError, LookupError, AttributeError):
        return None
