"""The words of the HTTP surface that several resources of the shop share."""

from __future__ import annotations

from typing import Annotated

from domain.bounds import CARD_NUMBER, REFERENCE
from handrail.http.schemas import never, text

Reference = Annotated[str, text(REFERENCE), never(CARD_NUMBER)]
