"""API keys as text: `hr_<id>_<secret>`, of which only the secret's hash is kept."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

PREFIX: Final = "hr_"
_ID_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_ID_LENGTH: Final = 12
_SECRET_BYTES: Final = 32
_FORM: Final = re.compile(r"hr_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class KeyText:
    """A key as its owner has it."""

    id: str
    secret: str

    @classmethod
    def new(cls) -> Self:
        """A secret of 256 random bits."""
        id_ = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
        return cls(id_, secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def read(cls, text: str) -> Self | None:
        """None where it does not look like a key."""
        found = _FORM.fullmatch(text)
        return cls(found[1], found[2]) if found else None

    @property
    def hash(self) -> bytes:
        """What is stored. A slow hash or a pepper would guard against guessing, which 256 random
        bits do not allow.
        """
        return sha256(self.secret.encode()).digest()

    def __str__(self) -> str:
        return f"{PREFIX}{self.id}_{self.secret}"

    def __repr__(self) -> str:
        return f"KeyText({self.id})"
