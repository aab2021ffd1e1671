"""A campaign is put into the queue in batches, each with a note of how far it got: whoever goes on
after a crash puts in nobody twice, and forgets nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from psycopg.types.json import Jsonb

from handrail.eventstore.pool import Connection
from handrail.notifications.contacts import Channel, Language
from handrail.notifications.tables import AFTER, RECIPIENT

BATCH: Final = 10_000
"""Recipients in a transaction: a second's work at most."""


class CampaignDiffers(Exception):
    """There is a campaign of this name that says something else, or to others."""


_LISTED_AT_ONCE: Final = 20_000
_LIST: Final = (
    f"INSERT INTO campaign_audience (campaign, {RECIPIENT}) SELECT %s, unnest(%s::text[])"
)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """`texts` has a subject and a body for each language. `rate` is in messages a second: so
    many become due, whoever sends them; None: all at once.
    """

    name: str
    channel: Channel
    texts: Mapping[Language, Mapping[str, str]]
    rate: float | None = None


@dataclass(frozen=True)
class Progress:
    """Of `total` recipients `considered` were looked at, and those `enqueued` who want it and have
    an address.
    """

    total: int
    considered: int
    enqueued: int
    finished: bool


async def begin(
    connection: Connection, campaign: Campaign, by: str, recipients: Iterable[str] | None
) -> Progress:
    """Note the campaign, and whom it is for; None: all. Begun before, it is where it got to.

    Raises CampaignDiffers where the name is taken by another one.
    """
    listed = None if recipients is None else sorted(set(recipients))
    fingerprint = _fingerprint(campaign, listed)
    async with connection.transaction():
        created = await connection.execute(
            "INSERT INTO campaigns (name, channel, texts, listed, fingerprint, rate, started_by)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (name) DO NOTHING",
            (
                campaign.name,
                campaign.channel,
                Jsonb(campaign.texts),
                listed is not None,
                fingerprint,
                campaign.rate,
                by,
            ),
        )
        if created.rowcount and listed is not None:
            # Not COPY, which a table with row-level security does not take.
            for first in range(0, len(listed), _LISTED_AT_ONCE):
                some = listed[first : first + _LISTED_AT_ONCE]
                await connection.execute(_LIST, (campaign.name, some))
    row = await _row(connection, campaign.name)
    if row["fingerprint"] != fingerprint:
        raise CampaignDiffers(
            f"campaign {campaign.name} was begun by {row['started_by']} with other words, another"
            " rate or for others: give this one a name of its own"
        )
    return await _progress(connection, row)


async def enqueue(
    connection: Connection, name: str, *, batch: int = BATCH
) -> AsyncIterator[Progress]:
    """Put in what is left, a batch at a time; several who do so at once take turns."""
    progress = await _progress(connection, await _row(connection, name))
    while not progress.finished:
        async with connection.transaction():
            row = await _row(connection, name, lock=True)
            considered, enqueued, finished = row["considered"], row["enqueued"], row["finished"]
            if not finished:  # by somebody else, or stopped
                considered, enqueued, finished = await _put_in(connection, row, batch)
        progress = Progress(progress.total, considered, enqueued, finished)
        yield progress


async def _put_in(
    connection: Connection, row: Mapping[str, Any], batch: int
) -> tuple[int, int, bool]:
    channel = _column(row["channel"])
    everybody = "notification_channels AS c WHERE true"
    some = (
        "campaign_audience AS a LEFT JOIN notification_channels AS c"
        f" ON c.{RECIPIENT} = a.{RECIPIENT}"
        " WHERE a.campaign = %(name)s"
    )
    source, who = (some, f"a.{RECIPIENT}") if row["listed"] else (everybody, f"c.{RECIPIENT}")
    cursor = await connection.execute(
        f"WITH batch AS MATERIALIZED ("
        f" SELECT {who} AS {RECIPIENT}, c.language, coalesce(c.{channel}"
        f" AND (c.choices -> 'campaigns' ->> '{channel}')::bool, false) AS wanted"
        f" FROM {source} AND {who} > %(after)s ORDER BY {who} LIMIT %(batch)s"
        "), chosen AS ("
        f" SELECT {RECIPIENT}, language, row_number() OVER (ORDER BY {RECIPIENT}) - 1 AS number"
        " FROM batch WHERE wanted"
        "), written AS ("
        f" INSERT INTO notifications (lane, source, channel, kind, {RECIPIENT}, campaign, language,"
        " state, due_at)"
        f" SELECT 'campaign', 'campaign/' || k.name || '/' || {RECIPIENT}, k.channel, 'campaign',"
        f" {RECIPIENT}, k.name, language, 'waiting', greatest(k.next_due_at, now())"
        " + coalesce(number / k.rate, 0) * interval '1 second'"
        " FROM chosen, campaigns AS k WHERE k.name = %(name)s"
        " ON CONFLICT (lane, source, channel) DO NOTHING"
        "), counted AS ("
        f" SELECT (SELECT max({RECIPIENT}) FROM batch) AS last,"
        " (SELECT count(*) FROM batch) AS seen,"
        " (SELECT count(*) FROM chosen) AS chosen)"
        f" UPDATE campaigns AS k SET {AFTER} = coalesce(last, {AFTER}),"
        " considered = considered + seen, enqueued = enqueued + chosen,"
        " next_due_at = greatest(next_due_at, now())"
        " + coalesce(chosen / rate, 0) * interval '1 second',"
        " finished_at = CASE WHEN seen < %(batch)s THEN clock_timestamp() END"
        " FROM counted WHERE k.name = %(name)s"
        " RETURNING considered, enqueued, finished_at IS NOT NULL",
        {"name": row["name"], "after": row[AFTER], "batch": batch},
    )
    [found] = await cursor.fetchall()
    return found


async def _row(connection: Connection, name: str, *, lock: bool = False) -> Mapping[str, Any]:
    cursor = await connection.execute(
        f"SELECT name, channel, listed, fingerprint, {AFTER}, started_by, considered,"
        " enqueued, finished_at IS NOT NULL AS finished FROM campaigns WHERE name = %s"
        + (" FOR UPDATE" if lock else ""),
        (name,),
    )
    [row] = await cursor.fetchall()
    assert cursor.description is not None
    return dict(zip((column.name for column in cursor.description), row, strict=True))


async def _progress(connection: Connection, row: Mapping[str, Any]) -> Progress:
    query = "SELECT count(*) FROM notification_channels"
    if row["listed"]:
        query = "SELECT count(*) FROM campaign_audience WHERE campaign = %(name)s"
    cursor = await connection.execute(query, {"name": row["name"]})
    [(total,)] = await cursor.fetchall()
    return Progress(total, row["considered"], row["enqueued"], row["finished"])


def _fingerprint(campaign: Campaign, recipients: list[str] | None) -> str:
    content = [campaign.channel, campaign.texts, campaign.rate, recipients]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _column(channel: str) -> str:
    """The channel's name, which is that of a column, and nothing else that a row could hold."""
    columns = {"push": "push", "sms": "sms", "email": "email"}
    return columns[channel]
