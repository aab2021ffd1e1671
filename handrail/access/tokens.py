"""Verifies OpenID Connect bearer tokens (JWT): signature, issuer, audience, times."""

from __future__ import annotations

import json
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError, MissingClaimError
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from handrail.access.authentication import NotSignedIn
from handrail.access.claims import ClaimNames, principal_of
from handrail.access.key_set import KeySet
from handrail.access.principal import Principal
from handrail.access.roles import Access
from handrail.access.settings import Algorithm

_LONGEST: Final = 12 * 1024
_REMEMBERED: Final = 10_000
"""Tokens whose signature is not verified again before the issuer's keys change."""
_DOTS: Final = 2
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Access tokens; what else an issuer signs, such as a logout token, is none."""
_NEEDED: Final = ("iss", "aud", "exp", "iat")


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Which tokens are believed. Times are in seconds; `oldest` counts from the claim `iat`."""

    issuer: str
    audience: str
    algorithms: Collection[Algorithm]
    clock_skew: float
    oldest: float


@dataclass(frozen=True)
class _Verified:
    principal: Principal
    claims: dict[str, Any]


class TokenVerifier:
    """Makes principals of bearer tokens."""

    def __init__(
        self,
        trust: Trust,
        keys: KeySet,
        access: Access,
        names: ClaimNames,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._trust, self._keys = trust, keys
        self._access, self._names = access, names
        self._clock = clock
        self._algorithms = [*trust.algorithms]
        if "EdDSA" in self._algorithms:
            # The name that issuers use; the newer one says which of its two curves is meant, and
            # only keys of that curve are used here.
            self._algorithms.append("Ed25519")  # type: ignore[arg-type]  # no setting has it
            warnings.filterwarnings("ignore", message="EdDSA is deprecated")
        self._registry = JWSRegistry(algorithms=self._algorithms, strict_check_header=False)
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock()),
            leeway=int(trust.clock_skew),
            iss={"essential": True, "value": trust.issuer},
            aud={"essential": True, "value": trust.audience},
            exp={"essential": True},
            iat={"essential": True},
        )
        self._remembered = OrderedDict[bytes, _Verified]()
        self._generation = keys.generation

    async def principal(self, token: str) -> Principal:
        """Raises NotSignedIn and SignInUnavailable."""
        await self._keys.usable()
        if self._generation != self._keys.generation:
            self._remembered.clear()
            self._generation = self._keys.generation
        digest = sha256(token.encode()).digest()
        if (found := self._remembered.get(digest)) is None:
            found = await self._verified(token)
            self._remembered[digest] = found
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        self._check(found.claims)
        return found.principal

    async def _verified(self, token: str) -> _Verified:
        algorithm, name = self._header(token)
        key = await self._keys.key(name, algorithm)
        try:
            decoded = jwt.decode(token, key, algorithms=self._algorithms, registry=self._registry)
        except (JoseError, ValueError, TypeError, RecursionError):
            raise NotSignedIn("the signature of the token does not fit") from None
        self._check(decoded.claims)
        principal = principal_of(decoded.claims, self._names, self._access)
        times = {name: decoded.claims.get(name) for name in (*_NEEDED, "nbf")}
        return _Verified(principal, {name: one for name, one in times.items() if one is not None})

    def _header(self, token: str) -> tuple[str, str | None]:
        """The algorithm and the key that the token names: nothing else of its header counts."""
        if len(token) > _LONGEST or token.count(".") != _DOTS:
            raise NotSignedIn("it is neither a signed token nor an API key")
        try:
            header = json.loads(urlsafe_b64decode(token.partition(".")[0].encode()))
            algorithm, name = header["alg"], header.get("kid")
            type_ = header.get("typ", "jwt")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise NotSignedIn("it is neither a signed token nor an API key") from None
        if algorithm not in self._algorithms:
            raise NotSignedIn("the token is signed with an algorithm that is not accepted")
        if not (isinstance(type_, str) and type_.lower() in _TYPES):
            raise NotSignedIn("it is a token for something else than access")
        if not (name is None or isinstance(name, str)):
            raise NotSignedIn("it is neither a signed token nor an API key")
        return str(algorithm), name

    def _check(self, claims: dict[str, Any]) -> None:
        try:
            self._claims.validate(claims)
            too_old = self._clock() - claims["iat"] > self._trust.oldest + self._trust.clock_skew
        except ExpiredTokenError:
            raise NotSignedIn("the token has expired") from None
        except MissingClaimError:
            raise NotSignedIn(f"the token lacks one of the claims {', '.join(_NEEDED)}") from None
        except ClaimError as error:
            raise NotSignedIn(f"the claim {error.claim} of the token does not fit") from None
        except (TypeError, ValueError, OverflowError):
            raise NotSignedIn("a time in the token is malformed") from None
        if too_old:
            raise NotSignedIn("the token is too old")
