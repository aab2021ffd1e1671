"""AES-256-GCM of a personal text: random nonce, bound to its key's id and to the field's name."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from typing import Final

from handrail.personal import ERASED, MARK, SEALED
from handrail.privacy.keys import SubjectKey

_NONCE: Final = 12


def seal_text(key: SubjectKey, field: str, text: str) -> str:
    """The sealed form, as it is stored."""
    nonce = os.urandom(_NONCE)
    sealed = nonce + key.aead.encrypt(nonce, text.encode(), _bound_to(key.id, field))
    return f"{MARK}sealed:{key.id}:{field}:{base64.urlsafe_b64encode(sealed).decode().rstrip('=')};"


def key_ids(text: str) -> set[str]:
    """Of the keys that a text, or JSON, is sealed under."""
    return {found["key"] for found in SEALED.finditer(text)}


def open_text(keys: Mapping[str, SubjectKey], text: str) -> str:
    """With every sealed text in it in clear, or `[erased]` where the key is not there."""

    def opened(found: re.Match[str]) -> str:
        clear = _opened(keys.get(found["key"]), found)
        return clear if found["mark"] == MARK else json.dumps(clear, ensure_ascii=False)[1:-1]

    return SEALED.sub(opened, text)


def _opened(key: SubjectKey | None, found: re.Match[str]) -> str:
    if key is None:
        return ERASED
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # as for keys

    text, bound_to = found["text"], _bound_to(key.id, found["field"])
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        clear: bytes = key.aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to)
    except (InvalidTag, ValueError):
        return ERASED  # it was changed, or is no text of this field
    return clear.decode()


def _bound_to(key: str, field: str) -> bytes:
    return f"handrail/personal/1/{key}/{field}".encode()
