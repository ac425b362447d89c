"""When a manual step was claimed, whatever its client says that it began."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import Timestamptz
from piccolo.columns.indexes import IndexMethod

ID = "2026-11-25T12:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "When a manual step was claimed"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="pagemill", description=DESCRIPTION)
    manager.add_column(
        table_class_name="TransitionExecution",
        tablename="transition_execution",
        column_name="claimed_time",
        db_column_name="claimed_time",
        column_class_name="Timestamptz",
        column_class=Timestamptz,
        params={
            "default": None,
            "null": True,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )
    return manager
