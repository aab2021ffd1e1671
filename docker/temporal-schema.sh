#!/bin/sh
# Temporal's two databases. Every step may be repeated.
set -eu

for database in temporal:temporal temporal_visibility:visibility; do
  name=${database%%:*} schema=${database##*:}
  tool="temporal-sql-tool --plugin $DB --ep $POSTGRES_SEEDS -u $POSTGRES_USER -p $DB_PORT --db $name"
  $tool create
  $tool setup-schema -v 0.0
  $tool update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
