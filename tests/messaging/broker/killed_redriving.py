"""A process that redrives all of finance's dead messages and dies before it takes one away."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from aiormq.channel import Channel

from handrail.database_engine import open_engine
from handrail.messaging.broker import dead_messages
from handrail.messaging.broker.dead_messages import DeadMessages
from handrail.messaging.broker.management_api import Management
from handrail.messaging.broker.topology import topology
from runtime.app import HANDRAIL
from tests.messaging.broker.dead import BY


async def _killed(channel: Channel, one: dead_messages._Fetched) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(url: str, management: str, database: str) -> None:
    dead_messages._take_away = _killed
    async with open_engine(database, role="handrail_app") as engine:
        at = DeadMessages(
            url=lambda: url,
            management=lambda: Management(management),
            topology=topology(HANDRAIL.routing, HANDRAIL.consumers),
            connected=engine.connect,
        )
        await at.redrive("finance", "dead", BY)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
