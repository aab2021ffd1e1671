"""The files of the console: its style, its scripts, and its icon; each address has its hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response

from handrail.http.public import PUBLIC

router = APIRouter(dependencies=[PUBLIC])

_FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class _File:
    content: bytes
    media_type: str


def _shipped(name: str, media_type: str) -> _File:
    return _File((files("handrail.console") / "static" / name).read_bytes(), media_type)


_FILES: Final[Mapping[str, _File]] = {
    "console.css": _shipped("console.css", "text/css"),
    "console.js": _shipped("console.js", "text/javascript"),
    "htmx.min.js": _shipped("htmx.min.js", "text/javascript"),
    "htmx-LICENSE.txt": _shipped("htmx-LICENSE.txt", "text/plain"),
    "icon.svg": _shipped("icon.svg", "image/svg+xml"),
}


def static(name: str) -> str:
    """The address of a file."""
    return f"/console/static/{name}?v={sha256(_FILES[name].content).hexdigest()[:16]}"


def _route(name: str, file: _File) -> None:
    async def send() -> Response:
        headers = {"Cache-Control": _FOREVER}
        return Response(file.content, media_type=file.media_type, headers=headers)

    router.add_api_route(f"/console/static/{name}", send, methods=["GET"])


for _name, _file in _FILES.items():
    _route(_name, _file)
