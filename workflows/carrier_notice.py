"""What the carrier says of a parcel, as the workflow of its delivery gets it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from handrail.personal import Personal


@dataclass(frozen=True)
class CarrierNotice:
    """What the carrier says became of a parcel, and when. The same `id` twice is one notice."""

    id: str
    kind: Literal["dispatched", "delivered", "lost"]
    at: datetime
    cause: Annotated[str, Personal()] = ""
