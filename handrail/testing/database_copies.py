"""Databases of tests that are copied from a migrated one, by CREATE DATABASE … TEMPLATE.

A copy is another store than its template, and is refused (`handrail/eventstore/identity.py`). Where
the template does not say which database it is, each copy is a store of its own from the beginning.
"""

from __future__ import annotations

from typing import Final

import psycopg

_OF_NO_DATABASE: Final = "UPDATE store_epochs SET database_oid = NULL"


async def to_be_copied(url: str) -> None:
    """Have copies of this database be stores of their own. For tests alone: nobody can tell any
    more that one of them is another store. As the owner of the database.
    """
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        await owner.execute(_OF_NO_DATABASE)
