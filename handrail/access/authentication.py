"""Authentication: how a caller's credentials become a principal."""

from __future__ import annotations

from typing import Final, Protocol

from handrail.access.principal import Principal
from handrail.access.roles import Access


class NotSignedIn(Exception):
    """There are no credentials, or they prove nothing. The message may be shown to the caller, and
    repeats nothing that was sent.
    """


class SignInUnavailable(Exception):
    """Credentials cannot be verified now: what verifies them does not answer."""


class Authentication(Protocol):
    """Makes a principal of credentials."""

    @property
    def development(self) -> bool:
        """Whether every caller is believed, which only a development machine may do."""
        ...

    async def principal(self, authorization: str | None) -> Principal:
        """The principal of an Authorization header. Raises NotSignedIn or SignInUnavailable."""
        ...


DEVELOPER: Final = "anonymous"


class Development:
    """Authentication is off: every caller is one anonymous principal with every scope."""

    development = True

    def __init__(self, access: Access) -> None:
        self._principal = Principal("development", DEVELOPER, frozenset(access.all_scopes))

    async def principal(self, authorization: str | None) -> Principal:  # noqa: ARG002  # protocol
        return self._principal
