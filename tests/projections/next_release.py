"""The App of the shop's next release, which writes the second version of two events."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from handrail.app import App
from runtime.app import HANDRAIL

NEXT: Final[App] = replace(
    HANDRAIL, upcasters={("OrderPlaced", 1): dict, ("PayableAccrued", 1): dict}
)
