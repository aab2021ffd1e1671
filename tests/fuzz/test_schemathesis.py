"""`make fuzz`: Schemathesis asks every operation of the OpenAPI document, with all its checks."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from handrail.http.database import Database
from handrail.processes.authentication import authentication_of
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.access.issuer import AUDIENCE, an_issuer
from tests.api.conftest import House, open_house
from tests.api.test_webhooks import TRUST

pytestmark = pytest.mark.fuzz

EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "30")
"""Of each operation, beside those of its boundaries."""
HERE = Path(__file__).parent
LONG = 3600.0  # seconds
EVERY_SCOPE = ["operator", "approver", "service"]


@pytest.fixture(scope="module")
async def stage(
    postgres: EmbeddedPostgres, database_template: str, temporal: WorkflowEnvironment
) -> AsyncIterator[House]:
    """A house of its own: thousands of orders, runs and interventions are begun in it."""
    async with open_house(postgres, database_template, temporal) as house:
        yield house


async def test_schemathesis_finds_nothing(stage: House, tmp_path: Path) -> None:
    async with an_issuer() as issuer:
        settings = ShopSettings(auth="oidc", auth_issuer=issuer.address, auth_audience=AUDIENCE)
        proving = authentication_of(HANDRAIL.access, settings, Database(stage.engine).connect)
        token = issuer.token(roles=EVERY_SCOPE, exp=2**31)
        async with stage.api(authentication=proving, webhooks_from=TRUST) as api:
            found, said = await schemathesis(api, token, tmp_path)
    print(said)  # noqa: T201  # for `pytest -s`
    assert found == 0, said[-20_000:]


async def schemathesis(api: httpx.AsyncClient, token: str, folder: Path) -> tuple[int, str]:
    """The exit code, and what was said."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={HERE / 'schemathesis.toml'}",
        "run",
        f"{str(api.base_url).rstrip('/')}/openapi.json",
        "--checks=all",
        f"--max-examples={EXAMPLES}",
        "--generation-deterministic",
        "--continue-on-failure",
        "--no-color",
        "--request-timeout=30",
        "--workers=2",
        "--header",
        f"Authorization: Bearer {token}",
        cwd=folder,
        env=os.environ
        | {"SCHEMATHESIS_HOOKS": "tests.fuzz.refusals", "PYTHONPATH": str(HERE.parents[1])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), LONG)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()
