"""The templates of what is scaffolded: files of this package, with `%{name}` where a name goes."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

from handrail.scaffold.names import class_name

_FOLDER: Final = files("handrail.scaffold") / "templates"


_PLACE: Final = re.compile(r"%\{(\w+)\}")


def filled(template: str, **names: str) -> str:
    """The text of a template such as `saga/test.py.txt`: `%{app}` is the name, `%{App}` its class.

    Raises KeyError for a name that the template needs and is not given.
    """
    classes = {name.capitalize(): class_name(value) for name, value in names.items()}
    text = _FOLDER.joinpath(*template.split("/")).read_text(encoding="utf-8")
    given = {**names, **classes}
    return _PLACE.sub(lambda place: given[place[1]], text)
