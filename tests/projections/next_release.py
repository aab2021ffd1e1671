"""The App of the shop's next release, which writes the second version of two events."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from handrail.app import App
from handrail.evolution.changes import NewVersion
from handrail.evolution.fields import FieldConverted
from runtime.app import HANDRAIL

NEXT: Final[App] = replace(
    HANDRAIL,
    evolutions=[
        NewVersion("OrderPlaced", 2, (FieldConverted("instalments", up=int, down=int),)),
        NewVersion("PayableAccrued", 2, (FieldConverted("order", up=str, down=str),)),
    ],
)
