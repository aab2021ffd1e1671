"""`/docs`: Swagger UI over the OpenAPI document, every file of it served by this API.

The files come from the package `fastapi-offline`; the page asks no other host, and its
Content-Security-Policy forbids the browser to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from handrail.http.public import PUBLIC

router = APIRouter(include_in_schema=False, dependencies=[PUBLIC])

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:;"  # the icons in Swagger UI's style sheet are data in it
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_START: Final = b"""\
window.addEventListener("load", function () {
  SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    layout: "BaseLayout",
    deepLinking: true,
    showExtensions: true,
    showCommonExtensions: true,
    // Swagger UI would have the document checked at another host.
    validatorUrl: null,
  });
});
"""
_READ: Final = ["GET", "HEAD"]
_FOREVER: Final = "public, max-age=31536000, immutable"
"""A file's address has its content's hash, so that a cache never has to ask for it again."""


@dataclass(frozen=True)
class _File:
    content: bytes
    media_type: str

    @property
    def version(self) -> str:
        return sha256(self.content).hexdigest()[:16]


def _shipped(name: str) -> bytes:
    return (files("fastapi_offline") / "static" / name).read_bytes()


_FILES: Final[Mapping[str, _File]] = {
    "swagger-ui.css": _File(_shipped("swagger-ui.css"), "text/css"),
    "swagger-ui-bundle.js": _File(_shipped("swagger-ui-bundle.js"), "text/javascript"),
    "start.js": _File(_START, "text/javascript"),
    "favicon.png": _File(_shipped("favicon.png"), "image/png"),
}


def _address(name: str) -> str:
    """Relative, so that the page also works behind a proxy that adds a prefix."""
    return f"docs/{name}?v={_FILES[name].version}"


_PAGE: Final = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Handrail: HTTP API</title>
<link rel="icon" type="image/png" href="{_address("favicon.png")}">
<link rel="stylesheet" href="{_address("swagger-ui.css")}">
<script src="{_address("swagger-ui-bundle.js")}"></script>
<script src="{_address("start.js")}"></script>
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. The document is <a href="openapi.json">JSON</a>.</noscript>
</body>
</html>
"""


@router.api_route("/docs", methods=_READ)
async def page() -> Response:
    return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": POLICY})


def _route(name: str, file: _File) -> None:
    async def send() -> Response:
        headers = {"Cache-Control": _FOREVER}
        return Response(file.content, media_type=file.media_type, headers=headers)

    router.add_api_route(f"/docs/{name}", send, methods=["GET"])


for _name, _file in _FILES.items():
    _route(_name, _file)


@router.api_route("/redoc", methods=_READ)
async def redoc() -> Response:
    """ReDoc needs inline styles and a worker made from text; its address leads to `/docs`."""
    return RedirectResponse("docs")


@router.api_route("/docs/oauth2-redirect", methods=_READ)
async def oauth2_redirect() -> Response:
    """Nothing signs in here with OAuth: the framework's address leads to `/docs`."""
    return RedirectResponse("../docs")
