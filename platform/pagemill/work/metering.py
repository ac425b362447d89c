"""Usage that jobs reserve and settle, for kinds that count against a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from db.statements import Connection
from pagemill.ids import JobId, OrganizationId
from pagemill.jobs.kind import Finished
from pagemill.usage.meters import Amount, Meter
from pagemill.usage.reservations import JobOf, refund, reserve, settle

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredUsage(Generic[Result]):
    """Usage of the jobs of a kind.

    A job reserves ``reserved`` when it is queued, and may reserve more while it runs; ``used`` says what a
    job that succeeded has really used.
    """

    used: Callable[[Result], Mapping[Meter, Amount]]
    reserved: Mapping[Meter, Amount] = field(default_factory=dict)

    async def reserve(self, connection: Connection, organization_id: OrganizationId, job_id: JobId) -> None:
        """Reserve for a job that this transaction has queued. Raises LimitExceeded."""
        if self.reserved:
            await reserve(connection, organization_id, job_id, self.reserved)

    async def settle(self, connection: Connection, finished: Sequence[Finished[Result]]) -> None:
        """Replace the reservations of succeeded jobs by what they have used."""
        used = {JobOf(job.organization_id, job.id): self.used(result) for job, result in finished}
        await settle(connection, used)

    async def refund(self, connection: Connection, organization_id: OrganizationId, job_id: JobId) -> None:
        """Give back the reservations of a job that failed or was cancelled."""
        await refund(connection, organization_id, job_id)
