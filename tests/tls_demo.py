"""`make tls-demo`: the demo on a Temporal, a PostgreSQL and a RabbitMQ that demand certificates."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from handrail.dev import broker_users
from handrail.dev.temporal import EmbeddedTemporal
from handrail.messaging.broker.topology import topology
from handrail.temporal.payload_keys import begin_ring
from runtime.app import HANDRAIL
from tests.commands import Ended, handrail, without_settings
from tests.servers.certificates import certificates
from tests.servers.tls import TlsRabbitMQ, demanding_postgres, tls_in_front_of

ROOT = Path(__file__).parents[1]


@asynccontextmanager
async def demanding_servers(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """The variables with which the demo reaches three servers that demand certificates."""
    made = certificates(folder / "certificates")
    keys = folder / "keys.json"
    begin_ring(keys)
    ours = {"CERT_FILE": str(made.client.cert), "KEY_FILE": str(made.client.key)}
    shown = {"CA_FILE": str(made.ca), **ours}
    async with (
        demanding_postgres(folder / "postgres", made) as database_url,
        TlsRabbitMQ(folder / "rabbitmq", made) as rabbitmq,
        EmbeddedTemporal(folder / "temporal", ui=False, tenant=HANDRAIL.tenant) as temporal,
        tls_in_front_of(temporal.address, made, "h2") as temporal_address,
    ):
        users = topology(HANDRAIL.routing, HANDRAIL.consumers).users
        broker = broker_users.addresses(rabbitmq, users)
        yield {
            "HANDRAIL_DATABASE_URL": database_url,
            "HANDRAIL_TEMPORAL_ADDRESS": temporal_address,
            "HANDRAIL_BROKER_URL": broker["broker_url"],
            "HANDRAIL_BROKER_MANAGEMENT_URL": broker["broker_management_url"],
            "HANDRAIL_BROKER_PASSWORDS": ",".join(broker["broker_passwords"]),
            "HANDRAIL_BROKER_FEDERATION_QUERY": rabbitmq.federation_query,
            "HANDRAIL_PAYLOAD_KEYS_FILE": str(keys),
            **{f"HANDRAIL_DATABASE_{name}": value for name, value in shown.items()},
            **{f"HANDRAIL_BROKER_{name}": value for name, value in shown.items()},
            **{f"HANDRAIL_TEMPORAL_TLS_{name}": value for name, value in shown.items()},
            "HANDRAIL_DATA_DIR": str(folder / "var"),
        }


async def demo(folder: Path, orders: int, *options: str) -> Ended:
    """The exit code of `handrail demo` on them, and what it said."""
    async with demanding_servers(folder) as variables:
        return await handrail(
            *("demo", "--orders", str(orders), "--broker", *options),
            environment={**without_settings(), **variables},
            folder=ROOT,
        )


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="handrail-tls-"))
    code, out, error = asyncio.run(demo(folder, 20))
    sys.stdout.write(out)
    sys.stderr.write(error)
    if code:
        sys.stderr.write(f"the logs are in {folder}\n")
    else:
        shutil.rmtree(folder)
    sys.exit(code)


if __name__ == "__main__":
    main()
