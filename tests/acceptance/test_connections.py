"""A stack opens no more connections to Postgres than a plan of its size says."""

from __future__ import annotations

import asyncpg

from examples.local_stack import LocalStack
from pagemill.settings import load_settings
from pagemill.stack.directory import DataDirectory
from pagemill.stack.state_file import StackState
from tests.acceptance.conftest import Trained
from tools.sizing.plan import postgres_connections


async def test_connections_are_those_of_the_plan(stack: LocalStack, trained: Trained) -> None:
    directory = DataDirectory(stack.data_directory)
    state = directory.read(directory.state, StackState)
    assert state is not None
    settings = load_settings(state.settings)
    connection = await asyncpg.connect(settings.database_url)
    rows = await connection.fetch(
        """
        SELECT application_name, count(*) AS number
        FROM pg_stat_activity
        WHERE backend_type = 'client backend'
        GROUP BY application_name
        """
    )
    await connection.close()
    found = {row["application_name"]: row["number"] for row in rows}
    assert {"pagemill-api", "pagemill dispatcher"} <= found.keys()
    assert sum(found.values()) <= postgres_connections(settings, api_processes=1) <= 100
