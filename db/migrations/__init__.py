"""Migrations: a file of SQL each, and a small module that has Piccolo run it once.

A migration is named by its effect: ``pagemill_add_document_language.py`` runs ``add_document_language.sql``.
Its ID is the time at which it was written. Piccolo imports the modules by their bare names, hence the prefix.

To change the schema, change ``db/tables`` and add a migration; a test compares the tables with the migrated
database. Migrations are not generated: Piccolo does not know checks, partial indexes, functions or storage
parameters.
"""
