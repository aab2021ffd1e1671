"""An OpenID Connect issuer on a port of this machine: discovery, keys, and tokens it has signed."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Response
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from handrail.access.claims import ClaimNames
from handrail.access.issuer import IssuerAddress
from handrail.access.key_set import KeySet
from handrail.access.roles import Access
from handrail.access.tokens import TokenVerifier, Trust
from handrail.simulators.in_process import served
from runtime.app import HANDRAIL

AUDIENCE: Final = "https://shop.example"
Key = ECKey | OKPKey | RSAKey


class Issuer:
    """`address` is where it answers, and the claim `iss` of its tokens."""

    def __init__(self) -> None:
        self.address = ""
        self.keys: list[Key] = [a_key("one")]
        self.away = False
        self.asked = 0
        self.named_issuer: str | None = None
        self.document: bytes | None = None
        """Instead of its keys."""

    def token(self, *, key: Key | None = None, alg: str = "ES256", **claims: Any) -> str:
        """Signed with its newest key, valid for five minutes; a claim that is None is left out."""
        key = key or self.keys[-1]
        now = int(time.time())
        said = {
            "iss": self.address,
            "aud": AUDIENCE,
            "sub": "anna",
            "iat": now,
            "exp": now + 300,
        } | claims
        header = {"alg": alg, **({"kid": key.kid} if key.kid else {})}
        present = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(header, present, key, algorithms=[alg])

    def confused(self, **claims: Any) -> str:
        """Signed with the public key, as if that were a secret: HS256."""
        _, said, _ = self.token(**claims).split(".")
        header = part({"alg": "HS256", "kid": self.keys[-1].kid, "typ": "JWT"})
        secret = self.keys[-1].as_pem(private=False)
        signature = hmac.digest(secret, f"{header}.{said}".encode(), "sha256")
        return f"{header}.{said}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"

    def unsigned(self, alg: str = "none", **claims: Any) -> str:
        """With no signature at all."""
        _, said, _ = self.token(**claims).split(".")
        return f"{part({'alg': alg, 'typ': 'JWT'})}.{said}."

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        async def discovery() -> Any:
            if self.away:
                return Response(status_code=503)
            return {
                "issuer": self.named_issuer or self.address,
                "jwks_uri": f"{self.address}/keys",
            }

        @app.get("/keys")
        async def keys() -> Any:
            self.asked += 1
            if self.away:
                return Response(status_code=503)
            if self.document is not None:
                return Response(self.document, media_type="application/json")
            return {"keys": [one.as_dict(private=False) for one in self.keys]}

        return app


def part(value: dict[str, Any]) -> str:
    """Of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def a_key(name: str, kind: str = "EC") -> Key:
    match kind:
        case "EC":
            return ECKey.generate_key("P-256", {"kid": name})
        case "OKP":
            return OKPKey.generate_key("Ed25519", {"kid": name})
        case _:
            return RSAKey.generate_key(2048, {"kid": name})


@asynccontextmanager
async def an_issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    async with served(issuer.app()) as address:
        issuer.address = address
        yield issuer


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def key_set(issuer: Issuer, clock: Clock | None = None) -> KeySet:
    load = IssuerAddress(issuer.address, None, None).load
    return KeySet(load, fresh=300, stale=3600, clock=clock or time.monotonic)


def verifier(
    issuer: Issuer,
    *,
    keys: KeySet | None = None,
    names: ClaimNames | None = None,
    access: Access = HANDRAIL.access,
    ahead: float = 0,
    **trust: Any,
) -> TokenVerifier:
    """As an API has it; its clock is `ahead` of the issuer's by so many seconds."""
    given: dict[str, Any] = {
        "issuer": issuer.address,
        "audience": AUDIENCE,
        "algorithms": ("ES256", "RS256", "EdDSA"),
        "clock_skew": 30,
        "oldest": 3600,
    } | trust
    return TokenVerifier(
        Trust(**given),
        keys or key_set(issuer),
        access,
        names or ClaimNames(),
        clock=lambda: time.time() + ahead,
    )
