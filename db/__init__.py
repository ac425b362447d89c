"""Postgres: tables, migrations, and every SQL statement, each a typed function."""
