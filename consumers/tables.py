"""What the shop's consumers keep: the ledger, packing lists, and what messages are made from."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from handrail.access.database_roles import Grant
from handrail.access.row_owner import RowOwner
from handrail.eventstore.business_tables import BusinessTables, EventIds

metadata = MetaData()

# The ledger of finance. Each event is an entry of several lines, which add up to nothing: debits
# are above zero, credits below. `party` is whose account it is, and empty where it is our own.
ledger_lines = Table(
    "ledger_lines",
    metadata,
    Column("event", Text, nullable=False),
    Column("line", SmallInteger, nullable=False),
    Column("account", Text, nullable=False),
    Column("party", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    # What the entry is about, such as a return: an entry that takes back another one finds it.
    Column("about", Text, nullable=False),
    Column("booked_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("event", "line", name="ledger_lines_pkey"),
    Index("ledger_lines_account_idx", "account", "party"),
    Index("ledger_lines_about_idx", "about", postgresql_where=text("about <> ''")),
)

# The warehouse's packing lists. What is to be packed comes from the streams of stock, and how far
# it got from that of the shipment: they change different columns, so either may come first. Of a
# list, `made_from` is the version of the shipment's event that gave it its state, and `booked_from`
# that of the one that gave it its booking: an earlier event that comes late does not turn it back.
packing_lines = Table(
    "packing_lines",
    metadata,
    Column("order_id", Text, nullable=False),
    Column("merchant", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("to_pack", BigInteger, nullable=False),
    Column("packed", BigInteger, nullable=False),
    Column("came_back", BigInteger, nullable=False),
    PrimaryKeyConstraint("order_id", "merchant", "sku", name="packing_lines_pkey"),
)
packing_lists = Table(
    "packing_lists",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("booking", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("made_from", BigInteger, nullable=False, server_default=text("0")),
    Column("booked_from", BigInteger, nullable=False, server_default=text("0")),
)

# Whose an order is. Events of other streams than the order's name the order only. `customer` is
# empty while such events have come and the order itself has not. `plan_from` is the version of the
# plan's stream that the order's instalments were made from.
notification_orders = Table(
    "notification_orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("customer", Text),
    Column("plan_from", BigInteger, nullable=False, server_default=text("0")),
)

# Events that came before their order: written about as soon as it comes.
notification_early = Table(
    "notification_early",
    metadata,
    Column("order_id", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("schema", SmallInteger, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("data", JSONB, nullable=False),
    PrimaryKeyConstraint("order_id", "stream", "version", name="notification_early_pkey"),
)

# The instalments still to come, of which customers are reminded; folded from the plan's stream.
notification_instalments = Table(
    "notification_instalments",
    metadata,
    Column("order_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("due", Date, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    PrimaryKeyConstraint("order_id", "number", name="notification_instalments_pkey"),
)

TABLES: Final = BusinessTables(
    revisions=Path(__file__).parent / "migrations" / "versions",
    rights={
        "ledger_lines": ("SELECT", "INSERT"),
        "packing_lines": ("SELECT", "INSERT", "UPDATE"),
        "packing_lists": ("SELECT", "INSERT", "UPDATE"),
        "notification_orders": ("SELECT", "INSERT", "UPDATE"),
        "notification_early": ("SELECT", "INSERT", "DELETE"),
        "notification_instalments": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    },
    event_ids=(
        EventIds(
            found_in="ledger", table="ledger_lines", column="event", says="finance has booked"
        ),
    ),
    used_by={
        "ledger_lines": ("consumer:finance",),
        "packing_lines": ("consumer:logistics",),
        "packing_lists": ("consumer:logistics",),
        "notification_orders": ("consumer:notifications",),
        "notification_early": ("consumer:notifications",),
        "notification_instalments": ("consumer:notifications",),
    },
    owners={
        "packing_lines": RowOwner(tenant="merchant"),
        "notification_orders": RowOwner(party="customer"),
    },
    grants=(
        # It writes to customers: through which channels, and when they want to be left alone.
        Grant("consumer:notifications", "notification_contacts", ("SELECT",)),
        Grant("consumer:notifications", "notifications", ("SELECT", "INSERT", "UPDATE")),
    ),
)
