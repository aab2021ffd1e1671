"""The declaration of a public route: it needs no principal."""

from __future__ import annotations

from typing import Final, cast

from fastapi import Depends, params


async def anybody() -> None:
    """What a public route depends on; a function that is not async would run in a thread."""


PUBLIC: Final = cast("params.Depends", Depends(anybody))
"""The dependency of a route that needs no principal."""
