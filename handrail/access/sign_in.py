"""Sign-in with a bearer token of the issuer, or with an API key."""

from __future__ import annotations

from handrail.access.api_keys import ApiKeys
from handrail.access.authentication import NotSignedIn
from handrail.access.principal import Principal
from handrail.access.secrets import PREFIX
from handrail.access.tokens import TokenVerifier


class SignIn:
    """Verifies what an Authorization header has. Without `tokens`, only API keys are accepted."""

    development = False

    def __init__(self, keys: ApiKeys, tokens: TokenVerifier | None) -> None:
        self.keys, self._tokens = keys, tokens

    async def principal(self, authorization: str | None) -> Principal:
        """Raises NotSignedIn, SignInUnavailable, and what the database raises."""
        if authorization is None:
            raise NotSignedIn("there are no credentials")
        scheme, _, credentials = authorization.partition(" ")
        credentials = credentials.strip()
        if scheme.lower() != "bearer" or not credentials or not credentials.isascii():
            raise NotSignedIn("the header does not look like: Bearer and a token or an API key")
        if credentials.startswith(PREFIX):
            return await self.keys.principal(credentials)
        if self._tokens is None:
            raise NotSignedIn("only API keys are accepted here")
        return await self._tokens.principal(credentials)
