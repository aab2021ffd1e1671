"""Subjects' keys in a database of their own: `handrail migrate` makes the table, as its owner."""

from __future__ import annotations

import psycopg
from psycopg import sql

from handrail.subject_keys.key_table import TABLE

_ROLE = (
    "DO $$ BEGIN CREATE ROLE {} NOLOGIN;"
    " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
)


def migrate_keys(url: str, role: str) -> None:
    """Safe to run again. An empty role grants nothing."""
    with psycopg.connect(url) as connection:
        connection.execute(TABLE)
        if role:
            name = sql.Identifier(role)
            connection.execute(sql.SQL(_ROLE).format(name))
            connection.execute(
                sql.SQL("GRANT SELECT, INSERT, UPDATE ON subject_keys TO {}").format(name)
            )
