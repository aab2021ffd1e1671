"""The one line of migrations as it was, before library and business had branches of their own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from alembic.config import Config
from sqlalchemy import Connection

from handrail import migrations

_OLD: Final = Path(__file__).with_name("old_migrations")
_LIBRARY: Final = Path(migrations.__file__).parent


def old_line(connection: Connection, folder: Path) -> Config:
    """Made in `folder`: the files of that time in the place of those that say less today."""
    shutil.copytree(_LIBRARY, folder, ignore=shutil.ignore_patterns("__pycache__", "000[67]_*"))
    shutil.copytree(_OLD, folder / "versions", dirs_exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["connection"] = connection
    return config
