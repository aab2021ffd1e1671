"""What an operator does with read models: see how they stand, build one anew, retry what waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import orjson
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from handrail.access.database_roles import DatabaseRoles
from handrail.cli.newer_code import form_of, show_waiting
from handrail.cli.newer_code import park_unknown as decided
from handrail.connections import store_engine, store_pool
from handrail.counted import counted
from handrail.eventstore.pool import Connection
from handrail.eventstore.short_locks import TablesBusy
from handrail.eventstore.subscriptions.lag import Lag, lag
from handrail.eventstore.tokens import UnknownProjection
from handrail.kernel import Attribution
from handrail.load_app import the_app
from handrail.projections import parked_rows, retry_parked
from handrail.projections.drop_read_model import StillUsed, drop_read_model
from handrail.projections.read_model import NEXT
from handrail.projections.rebuild import UnknownReadModel, rebuild
from handrail.projections.retry_readable import all_parked
from handrail.settings import Settings
from handrail.terminal_tables import Column, Table, terminal


async def status(settings: Settings, *, json: bool, wide: bool = False) -> int:
    """0 where nothing is parked or waits for newer code, 1 where something does."""
    names = the_app().read_model_names
    async with store_engine(settings, size=1) as engine, engine.connect() as connection:
        standing = [one for one in await lag(connection) if one.follower in names]
        parked = await parked_rows.parked(connection)
    console = terminal(json=json, wide=wide)
    table_of(standing).print(console)
    async with _connected(settings) as connected:
        waits, waiting = await show_waiting(
            connected,
            console,
            sorted(names),
            "handrail projections park-unknown NAME EVENT.vN --reason …",
        )
    for row in parked:
        console.print(
            f"{row.projection}: {row.events} events of {row.id} wait since {row.parked_at:%F %T}."
            f" {row.stream} could not be applied: {row.cause}\n"
            f"  once that is mended: handrail projections retry {row.projection} {row.stream}"
        )
    if json:
        figures = {
            "projections": [
                {
                    "name": one.follower,
                    "events": one.events,
                    "seconds": one.seconds,
                    "parked": one.parked,
                    "waiting_shards": one.waiting,
                }
                for one in standing
            ],
            **waiting,
        }
        print(orjson.dumps(figures).decode())
    return 1 if parked or waits else 0


def table_of(standing: Sequence[Lag]) -> Table:
    table = Table(
        (
            Column("read model"),
            *(Column(name, right=True) for name in ("behind by", "for", "parked events")),
        )
    )
    for one in standing:
        table.add(
            one.follower, counted(one.events, "event"), f"{one.seconds:.1f} s", str(one.parked)
        )
    return table


async def build_anew(settings: Settings, names: Sequence[str]) -> int:
    """0 once the new ones are in use; without names, all of them. The projectors that run do the
    work.
    """
    console, projections = terminal(json=True), the_app().read_models
    names = names or [one.name for one in projections]
    listed = ", ".join(names)
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()) as bars:
        bars.add_task(f"building beside those in use: {listed}; a projector must be running")
        try:
            role = settings.database_role or None
            roles = DatabaseRoles(prefix=settings.database_role_prefix)
            await rebuild(str(settings.owner_url), role, names, projections, roles)
        except UnknownReadModel as unknown:
            console.print(str(unknown))
            return 1
    console.print(f"built anew and in use: {listed}")
    return 0


async def build_requested(settings: Settings) -> int:
    """Works off what is requested over HTTP until it is cancelled."""
    from handrail.projections.rebuild_requested import keep_rebuilding  # noqa: PLC0415  # few do

    role = settings.database_role or None
    roles = DatabaseRoles(prefix=settings.database_role_prefix)
    await keep_rebuilding(str(settings.owner_url), role, the_app().read_models, roles)
    return 0


async def take_away(settings: Settings, name: str) -> int:
    """0 once it is gone."""
    console = terminal(json=True)
    try:
        projections = the_app().read_models
        await asyncio.to_thread(drop_read_model, str(settings.owner_url), name, projections)
    except (UnknownReadModel, StillUsed, TablesBusy) as refused:
        console.print(str(refused))
        return 1
    console.print(f"{name} is gone, and holds the outbox no more")
    return 0


async def work_off(settings: Settings, name: str, stream: str) -> int:
    """0 where nothing is left parked for the row of this stream."""
    console, app = terminal(json=True), the_app()
    async with store_pool(settings, size=1, name="handrail-projections") as pool:
        try:
            done = await retry_parked.retry(pool, name, stream, app.read_models, app.codec)
        except UnknownProjection as unknown:
            console.print(f"there is no read model {unknown}")
            return 1
    console.print(f"{counted(done.applied, 'event')} applied")
    if done.stopped_by:
        console.print(f"stopped at position {done.stopped_by.position}: {done.stopped_by.cause}")
        return 1
    return 0


async def work_off_all(settings: Settings, name: str | None) -> int:
    """0 where nothing is left parked, of one read model or of all."""
    console, app = terminal(json=True), the_app()
    known = {one.name for one in app.read_models}
    if name is not None and name not in known:
        console.print(f"there is no read model {name}")
        return 1
    applied, left = 0, 0
    async with store_pool(settings, size=1, name="handrail-projections") as pool:
        async with pool.connection() as connection:
            found = await all_parked(connection, [name] if name else sorted(known))
        for model, stream in found:
            try:
                done = await retry_parked.retry(pool, model, stream, app.read_models, app.codec)
            except UnknownProjection as unknown:
                console.print(f"not of this code's version: {unknown}")
                left += 1
                continue
            applied += done.applied
            if done.stopped_by:
                left += 1
                console.print(
                    f"{model}: {stream} stopped at position {done.stopped_by.position}:"
                    f" {done.stopped_by.cause}",
                    highlight=False,
                )
    console.print(f"{counted(applied, 'event')} applied")
    return int(bool(left))


async def park_unknown(
    settings: Settings, name: str, event: str, by: Attribution, *, withdraw: bool, json: bool
) -> int:
    """0 once it is decided for the read model, and for the one that is built beside it."""
    console, app = terminal(json=json), the_app()
    if name not in {one.name for one in app.read_models}:
        console.print(f"there is no read model {name}")
        return 1
    async with _connected(settings) as connection:
        code, figures = await decided(
            connection,
            console,
            [name, name + NEXT],
            form_of(event),
            by,
            codec=app.codec,
            withdraw=withdraw,
        )
    if json:
        print(orjson.dumps(figures).decode())
    return code


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Connection]:
    async with (
        store_pool(settings, size=1, name="handrail-projections") as pool,
        pool.connection() as connection,
    ):
        yield connection
