#!/bin/sh
# At the first start of PostgreSQL: the login of all processes but `migrate`, with the rights of
# handrail_app and no others. PostgreSQL runs it as the owner of the database.
set -eu

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --set password="$(cat /run/secrets/app_password)" <<'SQL'
CREATE ROLE handrail_app NOLOGIN;
CREATE ROLE handrail_login LOGIN NOINHERIT NOCREATEDB NOCREATEROLE PASSWORD :'password';
GRANT handrail_app TO handrail_login;
SQL
