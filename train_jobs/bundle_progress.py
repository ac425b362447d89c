"""Progress of a data bundle, as the API shows it."""

from __future__ import annotations

import logging
import time

from db.data_bundles import set_data_bundle_progress
from db.pool import DATABASE_ERRORS, connect
from db.statements import RowCount
from pagemill.ids import DataBundleId
from pagemill.jobs.job import Job, JobCancelled

SECONDS_BETWEEN = 2.0
"""Least time between two writes, however many documents are read meanwhile."""

logger = logging.getLogger(__name__)


class BundleProgress:
    """Number of documents that have been read, written from time to time while the attempt counts."""

    def __init__(self, database_url: str, job: Job, *, documents: int) -> None:
        self._database_url, self._job = database_url, job
        self._documents, self._read = documents, 0
        self._written = -SECONDS_BETWEEN

    async def advance(self, documents: int) -> None:
        """Count documents; write the number when it is time.

        Raises JobCancelled when the attempt no longer counts. Postgres may be away: the next number will do.
        """
        self._read += documents
        if time.monotonic() - self._written >= SECONDS_BETWEEN:
            await self.write()

    async def write(self) -> None:
        """Write the number. Raises JobCancelled when the attempt no longer counts."""
        self._written = time.monotonic()
        try:
            written = await self._write()
        except DATABASE_ERRORS as error:
            logger.warning("the progress is untold: %s: %s", type(error).__name__, error)
            return
        if not written:
            raise JobCancelled("The data bundle was cancelled or taken over")

    async def _write(self) -> RowCount:
        connection = await connect(self._database_url, application_name="pagemill data bundle")
        try:
            return await set_data_bundle_progress(
                connection,
                organization_id=self._job.organization_id,
                data_bundle_id=DataBundleId(self._job.subject_id),
                documents=self._documents,
                documents_read=self._read,
                job_id=self._job.id,
                attempt=self._job.attempt,
            )
        finally:
            await connection.close()
