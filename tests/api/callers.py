"""Callers with rights of their own, for an API that knows them by a word instead of a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from handrail.access.authentication import NotSignedIn
from handrail.access.principal import Kind, Principal
from runtime.app import HANDRAIL


@dataclass(frozen=True)
class Callers:
    """Each caller signs in as `Bearer WORD`."""

    by_word: Mapping[str, Principal]
    development: bool = False

    async def principal(self, authorization: str | None) -> Principal:
        word = (authorization or "").removeprefix("Bearer ")
        if word not in self.by_word:
            raise NotSignedIn("the word is not known")
        return self.by_word[word]


def caller(
    subject: str, *roles: str, kind: Kind = "person", tenant: str = "", party: str = ""
) -> Principal:
    """A principal of the shop with these roles."""
    return Principal(kind, subject, HANDRAIL.access.granted(roles), tenant, party)


def signed_in(word: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {word}"}
