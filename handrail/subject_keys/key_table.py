"""Keys of subjects in a table, each wrapped by a key from the key file.

A destroyed key leaves its row: the id, the subject, the time, and who destroyed it are the proof.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Mapping
from typing import Final

from handrail.eventstore.pool import Connection, Pool
from handrail.privacy.keys import Destroyed, SubjectKey
from handrail.subject_keys.key_file import Wrapping

TABLE: Final = """
CREATE TABLE IF NOT EXISTS subject_keys (
    key_id text PRIMARY KEY,
    subject text NOT NULL,
    wrapped bytea,
    wrapped_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    destroyed_at timestamptz,
    destroyed_by text,
    CONSTRAINT subject_keys_destroyed_check CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
);
CREATE UNIQUE INDEX IF NOT EXISTS subject_keys_current_idx ON subject_keys (subject)
    WHERE destroyed_at IS NULL;
CREATE INDEX IF NOT EXISTS subject_keys_subject_idx ON subject_keys (subject)
"""
"""As migration 0017 makes it, for keys in a database of their own."""

# One statement: keys are made for subjects that have none, and what there is comes back. A key that
# another process makes at the same moment is not seen yet: then it is asked again.
_GET: Final = """
WITH wanted AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bytea[], %s::text[])
        AS w (subject, key_id, wrapped, wrapped_by)
), there AS (
    SELECT k.subject, k.key_id, k.wrapped, k.wrapped_by FROM subject_keys k
    WHERE k.subject = ANY (%s::text[]) AND k.destroyed_at IS NULL
), made AS (
    INSERT INTO subject_keys (subject, key_id, wrapped, wrapped_by)
    SELECT w.* FROM wanted w WHERE NOT EXISTS (SELECT FROM there t WHERE t.subject = w.subject)
    ON CONFLICT (subject) WHERE destroyed_at IS NULL DO NOTHING
    RETURNING subject, key_id, wrapped, wrapped_by
)
SELECT * FROM there UNION ALL SELECT * FROM made
"""
_BY_IDS: Final = """
SELECT subject, key_id, wrapped, wrapped_by FROM subject_keys
WHERE key_id = ANY (%s::text[]) AND destroyed_at IS NULL
"""
_DESTROY: Final = """
WITH now AS (
    UPDATE subject_keys SET wrapped = NULL, destroyed_at = clock_timestamp(), destroyed_by = %s
    WHERE subject = %s AND destroyed_at IS NULL RETURNING key_id
)
SELECT key_id, true FROM now UNION ALL
SELECT key_id, false FROM subject_keys WHERE subject = %s AND destroyed_at IS NOT NULL
ORDER BY key_id
"""


class TableKeys:
    """`SubjectKeys` in the table `subject_keys`, a statement for each call."""

    def __init__(self, pool: Pool, wrapping: Wrapping) -> None:
        self._pool = pool
        self._wrapping = wrapping

    async def of_subjects(self, subjects: Collection[str]) -> Mapping[str, SubjectKey]:
        found: dict[str, SubjectKey] = {}
        async with self._pool.connection() as connection:
            while missing := sorted(set(subjects) - found.keys()):
                found |= await self._get(connection, missing)
        return found

    async def _get(
        self, connection: Connection, subjects: Collection[str]
    ) -> Mapping[str, SubjectKey]:
        ids = [secrets.token_hex(16) for _ in subjects]
        wrapped = [
            self._wrapping.wrap(os.urandom(32), _about(subject, id_))
            for subject, id_ in zip(subjects, ids, strict=True)
        ]
        by = [self._wrapping.newest] * len(ids)
        cursor = await connection.execute(_GET, (list(subjects), ids, wrapped, by, list(subjects)))
        return {row[0]: self._key(*row) for row in await cursor.fetchall()}

    async def by_ids(self, ids: Collection[str]) -> Mapping[str, SubjectKey]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_BY_IDS, (list(ids),))
            return {row[1]: self._key(*row) for row in await cursor.fetchall()}

    async def destroy(self, subject: str, by: str) -> Destroyed:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_DESTROY, (by, subject, subject))
            rows = await cursor.fetchall()
        return Destroyed(
            now=tuple(id_ for id_, now in rows if now),
            before=tuple(id_ for id_, now in rows if not now),
        )

    def _key(self, subject: str, id_: str, wrapped: bytes, by: str) -> SubjectKey:
        return SubjectKey(id_, self._wrapping.unwrap(wrapped, by, _about(subject, id_)))


def _about(subject: str, key_id: str) -> str:
    return f"{key_id}/{subject}"
