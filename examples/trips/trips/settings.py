"""The settings of the trips beside the library's: where the companies answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from handrail.setting_types import HttpUrl, Unset
from handrail.settings import Settings


class TripSettings(Settings):
    airline_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None, description="Where the airline answers. Unset: a simulator."
    )
    hotel_url: Annotated[HttpUrl | None, Unset] = Field(
        default=None, description="Where the hotel answers. Unset: a simulator."
    )
