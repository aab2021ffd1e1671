"""Sessions of the console: the credentials that a browser signed in with, in an encrypted cookie.

The cookie holds them under AES and HMAC (Fernet), so the API keeps no sessions; each request
verifies the credentials again. It is sent to `/console` alone, by pages of the same site alone, and
no script can read it.
"""

from __future__ import annotations

import base64
import secrets
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken
from starlette.datastructures import Headers
from starlette.types import Scope

from handrail.access.loopback import is_loopback

COOKIE: Final = "handrail_console"
LONGEST: Final = 2_800
"""Characters of credentials: encrypted they fit into a cookie, of which browsers keep 4,096."""
SECONDS: Final = 28_800


class ConsoleSessions:
    """`secret` is what cookies are encrypted with; None: one that only this process knows.

    A cookie is valid for `seconds`.
    """

    def __init__(self, secret: str | None = None, seconds: float = SECONDS) -> None:
        key = sha256(f"handrail console {secret or secrets.token_hex(32)}".encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        self.seconds = int(seconds)

    def cookie(self, credentials: str, scope: Scope) -> str:
        """The header `Set-Cookie` that begins a session."""
        sealed = self._fernet.encrypt(credentials.encode()).decode()
        return f"{COOKIE}={sealed}; Max-Age={self.seconds}; {_where(scope)}"

    def ending(self, scope: Scope) -> str:
        """The header `Set-Cookie` that ends a session."""
        return f"{COOKIE}=; Max-Age=0; {_where(scope)}"

    def credentials(self, scope: Scope) -> str | None:
        """Those of the request's cookie; None without a cookie that is valid."""
        try:
            cookies = SimpleCookie(Headers(scope=scope).get("cookie", ""))
        except CookieError:
            return None
        found = cookies.get(COOKIE)
        if found is None:
            return None
        try:
            return self._fernet.decrypt(found.value, ttl=self.seconds).decode()
        except InvalidToken:
            return None


def _where(scope: Scope) -> str:
    """Over plain HTTP the cookie is for this machine only: a proxy with TLS may be in front."""
    try:
        host = urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname
    except ValueError:
        host = None
    plain = scope.get("scheme") == "http" and is_loopback(host)
    return f"Path=/console; HttpOnly; SameSite=Strict{'' if plain else '; Secure'}"
