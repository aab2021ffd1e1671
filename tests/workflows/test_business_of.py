"""business_of gives the harness all that an App declares: simulators, settings, tables, options."""

from __future__ import annotations

from dataclasses import replace

import pytest
from temporalio.testing import WorkflowEnvironment

from handrail.dev.postgres import EmbeddedPostgres
from handrail.eventstore.pool import open_pool
from handrail.testing import NoCompanies, business_of, open_environment, undisturbed
from handrail.testing.saga_environments import administer
from runtime.app import HANDRAIL
from tests.workflows.harness.cases import CASES
from workflows.options import ShopOptions


@pytest.mark.thorough
async def test_a_saga_of_the_app_asks_its_simulators_and_reads_its_tables(
    postgres: EmbeddedPostgres, database_template: str, temporal: WorkflowEnvironment
) -> None:
    name = "handrail_business_of"
    await administer(postgres.url, f"CREATE DATABASE {name} TEMPLATE {database_template}")
    business = business_of(HANDRAIL, settings={"sagas_per_merchant": 7})
    business.migrate(postgres.url_of(name))
    case = replace(CASES["PayMerchant"], companies=lambda _: NoCompanies())

    async with (
        open_environment(business, postgres.url_of(name), temporal) as environment,
        environment.at_work(),
        open_pool(postgres.url_of(name), role="handrail_app", size=1) as pool,
        pool.connection() as connection,
    ):
        kept = await undisturbed(environment, case)
        await connection.execute("SELECT FROM merchant_balance")

    assert any(stream.startswith("transfer-") for stream in kept)
    assert isinstance(environment.options, ShopOptions)
    assert environment.settings.sagas_per_merchant == 7
    assert environment.settings.bank_url.startswith("http://127.0.0.1:")
