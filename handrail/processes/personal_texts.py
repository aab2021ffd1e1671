"""The personal texts of a process: keys as the settings say, or the process's end."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

from handrail.eventstore.pool import open_pool
from handrail.privacy.keys import CachedKeys, SubjectKeys
from handrail.privacy.texts import CLEAR, PersonalTexts
from handrail.refused_settings import BAD_SETTINGS, variable
from handrail.settings import Settings


@asynccontextmanager
async def personal_texts(
    settings: Settings,
    *,
    declared: bool,
    name: str,
    keys: Callable[[SubjectKeys], SubjectKeys] = lambda keys: keys,
) -> AsyncIterator[PersonalTexts]:
    """What seals and opens in this process. `declared` is whether the App has personal fields:
    then a process without a key file ends, with the variable's name. `keys` may wrap those of the
    table.
    """
    if settings.subject_keys_file is None:
        if declared and settings.personal_fields == "sealed":
            _end("is needed here, as the App declares personal fields: see personal-data.md")
        yield CLEAR
        return
    # Processes without keys do without the package.
    from handrail.subject_keys.key_file import BadKeyFile, read  # noqa: PLC0415
    from handrail.subject_keys.key_table import TableKeys  # noqa: PLC0415

    try:
        wrapping = read(settings.subject_keys_file)
    except BadKeyFile as wrong:
        _end(str(wrong))
    url = settings.keys_database_url or settings.database_url
    assert url is not None
    async with open_pool(url, role=settings.database_role or "", size=2, name=name) as pool:
        table = keys(TableKeys(pool, wrapping))
        cached = CachedKeys(table, seconds=settings.subject_keys_seconds)
        yield PersonalTexts(cached, seals=settings.personal_fields == "sealed")


def _end(said: str) -> NoReturn:
    print(f"{variable('subject_keys_file')}: {said}", file=sys.stderr)
    raise SystemExit(BAD_SETTINGS)
