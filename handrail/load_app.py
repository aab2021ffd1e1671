"""Finds the App of this project, as the console script does: `HANDRAIL_APP`, else pyproject.toml.

[tool.handrail]
app = "runtime.app:HANDRAIL"
"""

from __future__ import annotations

import os
import sys
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

from handrail.app import App
from handrail.settings import APP_VARIABLE, Settings, load

BAD_APP: Final = 2
"""The exit code of a process that has no App, or a wrong one: starting it again does not help."""


class NoApp(LookupError):
    """There is no App to run."""


def find_app(folder: Path) -> App:
    """The App that the environment names, or the nearest pyproject.toml from `folder` upwards.

    Raises NoApp with a sentence that names the place and the remedy, and WronglyDeclared.
    """
    named, at = _named(folder)
    module, _, name = named.partition(":")
    if not (module and name):
        raise NoApp(f'{at}: must look like "runtime.app:HANDRAIL"')
    try:
        imported = import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{module}.".startswith(f"{missing.name}."):
            raise
        raise NoApp(f"{at}: there is no module {module} to import from {folder}") from None
    if not hasattr(imported, name):
        raise NoApp(f"{at}: {module} has no {name}")
    found = getattr(imported, name)
    if not isinstance(found, App):
        raise NoApp(f"{at}: {named} is not a handrail.app.App")
    return found


def named_app(folder: Path) -> tuple[Path, str]:
    """The folder of the project, and the module that has its App, as its pyproject.toml names it.

    Nothing is imported. Raises NoApp.
    """
    project, named = _in_project(folder)
    return project, named.partition(":")[0]


def _in_project(folder: Path) -> tuple[Path, str]:
    for above in (folder, *folder.parents):
        file = above / "pyproject.toml"
        if not file.is_file():
            continue
        tool = tomllib.loads(file.read_text()).get("tool", {}).get("handrail", {})
        if "app" in tool:
            return above, str(tool["app"])
    raise NoApp(
        f"no pyproject.toml from {folder} upwards has [tool.handrail] app ="
        f' "module:NAME": add it, or set {APP_VARIABLE}'
    )


def _named(folder: Path) -> tuple[str, str]:
    """Which App, and what says so. The project's folder becomes importable."""
    if named := os.environ.get(APP_VARIABLE):
        _importable(folder)
        return named, APP_VARIABLE
    project, found = _in_project(folder)
    _importable(project)
    return found, f"{project / 'pyproject.toml'}, [tool.handrail] app"


def _importable(folder: Path) -> None:
    """For this process, and for those that it starts."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(folder) not in inherited:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), *inherited]))


@cache
def the_app() -> App:
    """The App of this process, or its end with a line that says what to do."""
    try:
        return find_app(Path.cwd())
    except (NoApp, ValueError) as wrong:
        print(wrong, file=sys.stderr)
        raise SystemExit(BAD_APP) from None


def app_if_any() -> App | None:
    """None where no project names one. One that is wrongly declared ends the process."""
    try:
        find_app(Path.cwd())
    except NoApp:
        return None
    except ValueError:
        pass
    return the_app()


def load_settings() -> Settings:
    """The settings of this process, or its end with a line for each that is wrong."""
    return load(the_app().settings_type)
