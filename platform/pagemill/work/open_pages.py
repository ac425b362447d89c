"""Pages of open jobs: what replicas are ordered by, and operators are shown."""

from __future__ import annotations

from typing import NamedTuple

from db.statements import Connection
from db.waiting_pages import (
    AskedPagesRow,
    count_documents_to_bundle,
    get_asked_pages,
    list_open_predictions,
)
from pagemill.jobs.job import BATCH

SAMPLED_JOBS = 500
"""Jobs of a state whose pages are looked up; their mean stands for all of it."""
NOTHING_ASKED = AskedPagesRow(queued=None, running=None)


class OpenPages(NamedTuple):
    """Pages that wait, for somebody or in the background, and those of running jobs.

    ``oldest`` is the age in seconds of the job that has waited longest among the interactive ones.
    """

    interactive: float = 0.0
    background: float = 0.0
    running: float = 0.0
    oldest: float = 0.0


async def count_open_pages(connection: Connection) -> OpenPages:
    """Return the pages of all organizations' predictions and data bundles. Raises what asyncpg raises."""
    groups = await list_open_predictions(connection, batch_priority=BATCH)
    # An idle platform is asked every two seconds too.
    asked = await get_asked_pages(connection, sample=SAMPLED_JOBS) if groups else NOTHING_ASKED
    documents = await count_documents_to_bundle(connection)
    queued = {group.interactive: group for group in groups if group.state == "queued"}
    a_job = asked.queued or 1.0
    interactive, batch = queued.get(True), queued.get(False)
    return OpenPages(
        interactive=interactive.jobs * a_job if interactive else 0.0,
        # Before a document has been read its pages are not known: it counts as one.
        background=(batch.jobs * a_job if batch else 0.0) + documents,
        running=sum(group.jobs for group in groups if group.state == "running") * (asked.running or 1.0),
        oldest=interactive.oldest if interactive else 0.0,
    )
