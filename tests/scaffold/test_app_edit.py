"""The edit of app.py adds an import and a line above a comment, and nothing else."""

from __future__ import annotations

import pytest

from handrail.scaffold.app_edit import Entry, NotMarked, bound_names, with_entry, with_import

APP = """\
from handrail.app import App

from clinic.contexts import booking
from clinic.settings import ClinicSettings

APP = App(
    contexts=(
        booking.CONTEXT,  # the first
        # handrail new context NAME
    ),
)
"""
ENTRY = Entry("# handrail new context NAME", "room.CONTEXT,")


def test_a_line_is_written_above_its_comment_and_indented_as_it_is() -> None:
    wanted = APP.replace("        # handrail", "        room.CONTEXT,\n        # handrail")
    assert with_entry(APP, ENTRY) == wanted


@pytest.mark.parametrize(("text", "times"), [("", 0), (f"{ENTRY.marker}\n" * 2, 2)])
def test_a_comment_that_is_not_there_once_is_named(text: str, times: int) -> None:
    with pytest.raises(NotMarked, match=f"'# handrail new context NAME' {times} times"):
        with_entry(text, ENTRY)


def test_an_import_joins_those_of_its_package() -> None:
    wanted = APP.replace("import booking\n", "import a_room, booking\n")
    assert with_import(APP, "clinic.contexts", "a_room") == wanted


def test_an_import_of_a_new_package_stands_in_the_order_of_names() -> None:
    first = with_import(APP, "clinic.consumers", "mailer")
    assert "\nfrom clinic.consumers import mailer\nfrom clinic.contexts" in first
    last = with_import(APP, "clinic.zones", "north")
    assert "ClinicSettings\nfrom clinic.zones import north\n\nAPP" in last


def test_imports_too_long_for_a_line_stand_below_each_other() -> None:
    names = [f"a_name_of_some_length{number}" for number in range(5)]
    source = APP
    for name in names:
        source = with_import(source, "clinic.contexts", name)
    listed = "".join(f"    {name},\n" for name in [*names, "booking"])
    assert f"from clinic.contexts import (\n{listed})\nfrom clinic.settings" in source


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("from clinic.contexts import booking as first\n", "under other names"),
        ("import handrail\n", "imports nothing from clinic"),
    ],
)
def test_imports_that_cannot_be_added_to_are_named(source: str, said: str) -> None:
    with pytest.raises(NotMarked, match=said):
        with_import(source, "clinic.contexts", "room")


def test_the_names_of_an_app_are_known() -> None:
    assert bound_names(APP) == {"App", "booking", "ClinicSettings", "APP"}
