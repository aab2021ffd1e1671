"""A new project: a business with a context, a saga, a projection and a resource, and its tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from handrail.scaffold.files import Exists, write_new
from handrail.scaffold.names import checked
from handrail.scaffold.templates import filled

_TOP: Final = {
    "pyproject.toml": "app/pyproject.toml.txt",
    "Makefile": "app/Makefile.txt",
    "README.md": "app/README.md.txt",
    ".gitignore": "app/gitignore.txt",
}
_MODULES: Final = ("app.py", "api.py", "demo.py", "settings.py")
_PACKAGES: Final = ("contexts", "sagas", "projections", "consumers", "routes")


def new_project(name: str, within: Path) -> Path:
    """The folder that was written. Raises WrongName, and Exists where the folder is there."""
    folder = within / checked(name)
    if folder.exists():
        raise Exists(f"{folder} is there already: take another name, or move it away")
    write_new(folder, _texts(name))
    return folder


def _texts(app: str) -> Mapping[str, str]:
    booking = {"app": app, "name": "booking"}
    board = {"app": app, "name": "booking_board", "context": "booking"}
    saga = {"app": app, "name": "make_booking", "context": "booking"}
    return {
        **{path: filled(template, app=app) for path, template in _TOP.items()},
        f"{app}/__init__.py": "",
        **{f"{app}/{module}": filled(f"app/{module}.txt", app=app) for module in _MODULES},
        **{f"{app}/{package}/__init__.py": "" for package in _PACKAGES},
        f"{app}/routes/bookings.py": filled("app/bookings.py.txt", app=app),
        f"{app}/contexts/booking.py": filled("context/context.py.txt", **booking),
        "tests/test_booking.py": filled("context/test.py.txt", **booking),
        f"{app}/sagas/make_booking.py": filled("saga/saga.py.txt", **saga),
        "tests/test_make_booking.py": filled("saga/test.py.txt", **saga),
        f"{app}/projections/booking_board.py": filled("projection/projection.py.txt", **board),
        "tests/test_booking_board.py": filled("projection/test.py.txt", **board),
    }
