"""The demo on servers that demand certificates, as `make tls-demo` runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.servers.tls import needs_rabbitmq
from tests.tls_demo import demo

pytestmark = [pytest.mark.journey, needs_rabbitmq]


async def test_the_demo_runs_on_servers_that_demand_certificates(tmp_path: Path) -> None:
    code, out, error = await demo(tmp_path, 12, "--json")
    assert code == 0, error
    figures = json.loads(out.splitlines()[-1])
    assert all(figures["invariants"].values())
