"""What refuses a count that passes a limit, with all that was counted beside it."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "2026-11-27T21:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Counts that pass a limit are refused by the statement that counts"

STATEMENTS = (
    """
    CREATE FUNCTION refuse_exceeded(organizations text[]) RETURNS void LANGUAGE plpgsql AS $function$
    BEGIN
        IF cardinality(organizations) > 0 THEN
            RAISE EXCEPTION 'more than the plan allows was counted for %', organizations
                USING ERRCODE = 'PM429';
        END IF;
    END
    $function$
    """,
    # Counters are updated all the time: with room on its page, a new version needs no entry in the index.
    "ALTER TABLE usage_counter SET (fillfactor = 50)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="pagemill", description=DESCRIPTION)

    async def run() -> None:
        engine = engine_finder()
        assert engine is not None
        for statement in STATEMENTS:
            await engine.run_ddl(statement)

    manager.add_raw(run)
    return manager
