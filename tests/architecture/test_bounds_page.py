"""No field that comes from outside is without a bound, and the page that lists them is current."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter

from handrail.docs_pages.bounds import Unbounded, fields_of
from handrail.http.schemas import Day, Evidence, Moment, Quantity
from runtime.bounds_page import PAGE, page


async def test_the_page_of_the_bounds_is_what_the_types_say() -> None:
    assert PAGE.read_text() == await page(), "`make bounds` brings it up to date"


class Inner(BaseModel):
    text: str


@pytest.mark.parametrize(
    "unbounded",
    [
        int,
        str,
        float,
        list[Quantity],
        dict[str, Quantity],
        dict[str, Any],
        Any,
        Inner,
        str | None,
        Annotated[int, "a note"],
    ],
    ids=str,
)
def test_a_type_without_a_bound_is_noticed(unbounded: Any) -> None:
    schema = TypeAdapter(unbounded).json_schema()
    with pytest.raises(Unbounded):
        list(fields_of(schema, "#", schema.get("$defs", {})))


@pytest.mark.parametrize("bounded", [Quantity, Evidence, Day, Moment, bool], ids=str)
def test_a_type_with_a_bound_is_shown_with_it(bounded: Any) -> None:
    [(field, said)] = fields_of(TypeAdapter(bounded).json_schema(), "#", {})
    assert field == "#"
    assert said
