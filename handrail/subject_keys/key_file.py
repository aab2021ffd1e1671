"""The file with the keys that wrap the keys of subjects (key-encryption keys).

A line each, `id base64`, the newest first: it wraps what is made from now on, the others unwrap
what they wrapped. 32 bytes each; the file is for its owner alone.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_BYTES: Final = 32
_NONCE: Final = 12


class BadKeyFile(ValueError):
    """The key file cannot be used; the sentence says why."""


class CannotUnwrap(LookupError):
    """A subject's key was wrapped by a key that is not in the key file: put that line back."""


@dataclass(frozen=True)
class Wrapping:
    """Wraps and unwraps keys of subjects. `newest` is the id of the key that wraps."""

    newest: str
    keys: Mapping[str, bytes] = field(repr=False)

    def wrap(self, secret: bytes, about: str) -> bytes:
        """`about` is what the key is of; it has to be the same when the key is unwrapped."""
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self.keys[self.newest]).encrypt(nonce, secret, about.encode())

    def unwrap(self, wrapped: bytes, by: str, about: str) -> bytes:
        """Raises CannotUnwrap."""
        key = self.keys.get(by)
        if key is None:
            raise CannotUnwrap(f"{CannotUnwrap.__doc__} Its id is {by}.")
        try:
            return AESGCM(key).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], about.encode())
        except InvalidTag:
            raise CannotUnwrap(f"the row of {about} was not wrapped by the key {by}") from None


def read(path: Path) -> Wrapping:
    """Raises BadKeyFile."""
    try:
        lines = path.read_text(encoding="ascii").split("\n")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise BadKeyFile(f"{path} cannot be read: {error}") from None
    if mode & 0o007:
        raise BadKeyFile(f"{path} can be read by anybody: chmod 600 {path}")
    keys: dict[str, bytes] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, _, text = line.strip().partition(" ")
        try:
            key = base64.b64decode(text, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != _BYTES or not name or name in keys:
            raise BadKeyFile(f"{path}, line {number}: needs an id of its own and {_BYTES} bytes")
        keys[name] = key
    if not keys:
        raise BadKeyFile(f"{path} holds no key")
    return Wrapping(next(iter(keys)), keys)


def make(path: Path) -> None:
    """A file with a new key, unless there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = f"k{secrets.token_hex(4)} {base64.b64encode(os.urandom(_BYTES)).decode()}\n"
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(made, "w", encoding="ascii") as file:
        file.write(line)
