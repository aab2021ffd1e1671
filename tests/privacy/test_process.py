"""A process of an App with personal fields has keys, or ends and says which setting is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from handrail.personal import is_sealed
from handrail.processes.personal_texts import personal_texts
from handrail.refused_settings import BAD_SETTINGS
from handrail.settings import Settings
from handrail.subject_keys.key_file import make


async def test_without_a_key_file_a_process_ends_with_the_variables_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = Settings(subject_keys_file=None)
    with pytest.raises(SystemExit) as ended:
        async with personal_texts(settings, declared=True, name="test"):
            pass
    assert ended.value.code == BAD_SETTINGS
    assert capsys.readouterr().err.startswith("HANDRAIL_SUBJECT_KEYS_FILE: is needed here")


async def test_a_key_file_that_is_not_there_ends_a_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(subject_keys_file=tmp_path / "none")
    with pytest.raises(SystemExit):
        async with personal_texts(settings, declared=True, name="test"):
            pass
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("declared", "fields"), [(False, "sealed"), (True, "clear")], ids=["no field", "not yet"]
)
async def test_a_process_that_seals_nothing_needs_no_keys(*, declared: bool, fields: str) -> None:
    settings = Settings.model_validate({"subject_keys_file": None, "personal_fields": fields})
    async with personal_texts(settings, declared=declared, name="test") as personal:
        assert not personal.seals


async def test_the_release_before_the_switch_opens_and_does_not_seal(
    database: str, tmp_path: Path
) -> None:
    make(tmp_path / "keys")
    given = {"database_url": database, "subject_keys_file": tmp_path / "keys"}
    async with (
        personal_texts(Settings.model_validate(given), declared=True, name="now") as now,
        personal_texts(
            Settings.model_validate({**given, "personal_fields": "clear"}),
            declared=True,
            name="before",
        ) as before,
    ):
        sealed = await now.seal_text("X-4711", "passport", "guest:ann")
        assert is_sealed(sealed)
        assert await before.open(sealed) == "X-4711"
        assert await before.seal_text("X-4711", "passport", "guest:ann") == "X-4711"
