"""Migration of a database to the current schema. ``python -m db.migrate`` reads PAGEMILL_DATABASE_URL."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import subprocess
import sys

import asyncpg

from pagemill.errors import PagemillError

MIGRATION_LOCK = 7_240_001
"""Advisory lock: when several processes start together, one migrates and the others wait."""
MIGRATION_SECONDS = 600


class MigrationError(PagemillError):
    """The schema could not be brought up to date; the message ends with the migration's own."""


def migrate(database_url: str) -> None:
    """Run all migrations that are missing, in a process of its own. Raises MigrationError.

    Piccolo finds its engine through the environment and a module, which stay out of the caller's process.
    """
    environment = os.environ | {"PAGEMILL_DATABASE_URL": database_url, "PICCOLO_CONF": "db.piccolo_conf"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "db.migrate"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=MIGRATION_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise MigrationError(f"the database could not be migrated: {(done.stderr or done.stdout)[-2000:]}")


async def _run(database_url: str) -> int:
    from piccolo.apps.migrations.commands.forwards import run_forwards

    lock = await asyncpg.connect(database_url)
    output = io.StringIO()
    try:
        await lock.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        with contextlib.redirect_stdout(output):
            result = await run_forwards(app_name="pagemill")
    finally:
        await lock.close()
    if not result.success:
        sys.stderr.write(output.getvalue() + (result.message or ""))
    return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(_run(os.environ["PAGEMILL_DATABASE_URL"])))
