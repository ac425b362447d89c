"""Declaration of a kind of job: its name, its runner, its limits and its outcomes.

The engine works on any kind. A kind is one ``JobKind``, declared in its module of ``pagemill.work``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from db.job_leases import ClaimedJobRow
from db.statements import Connection
from pagemill.errors import PagemillError
from pagemill.ids import JobId, OrganizationId, SubjectId
from pagemill.jobs.backoff import MAXIMUM_LOST_WORKERS
from pagemill.jobs.job import Job, KindName
from pagemill.settings import Settings

MAXIMUM_ATTEMPTS = 5

Resources = TypeVar("Resources", contravariant=True)
Result = TypeVar("Result")

Runner: TypeAlias = Callable[[Job], Awaitable[Result]]


class UnknownKind(PagemillError):
    """No kind of this name is declared in this release."""


class Finished(NamedTuple, Generic[Result]):
    """A job whose runner has returned, and its result."""

    job: Job
    result: Result


class JobUsage(Protocol[Result]):
    """Usage of their organization's plan by the jobs of a kind.

    Each method is called in the transaction that queues or ends the jobs.
    """

    async def reserve(self, connection: Connection, organization_id: OrganizationId, job_id: JobId) -> None:
        """Reserve the units of a job that is being queued. Raises LimitExceeded."""
        ...

    async def settle(self, connection: Connection, finished: Sequence[Finished[Result]]) -> None:
        """Count the units that succeeded jobs have used, in place of the reserved ones."""
        ...

    async def refund(self, connection: Connection, organization_id: OrganizationId, job_id: JobId) -> None:
        """Give back all units that a failed or cancelled job has reserved."""
        ...


class ListOrganizations(Protocol):
    """Statement that lists the organizations concerned by a schedule."""

    async def __call__(self, connection: Connection, *, after: str, limit: int) -> list[OrganizationId]:
        """Return organizations whose id follows ``after``, in the order of their ids."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """Schedule of a kind: one job for each organization concerned, once an interval.

    ``interval`` is in seconds, 0 turns the schedule off.
    """

    interval: Callable[[Settings], float]
    organizations: ListOrganizations


class ClaimStatement(Protocol):
    """Statement that claims jobs of one kind."""

    async def __call__(
        self, connection: Connection, *, owner: str, lease: float, limit: int
    ) -> list[ClaimedJobRow]:
        """Lease jobs that are due for ``lease`` seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Statements of a kind whose jobs are timers: most of its queued jobs are not due for long.

    They are claimed in the order in which they become due, by an index of their own. ``seconds_to_next``
    returns the seconds until the next one does, so that dispatchers look at the right time.
    """

    claim: ClaimStatement
    seconds_to_next: Callable[[Connection], Awaitable[float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind(Generic[Resources, Result]):
    """A kind of job.

    ``runner`` makes the function that runs one job, from the resources of a dispatcher; ``concurrency`` says
    how many jobs one dispatcher runs at the same time. ``priority`` can be changed for a single job. A job
    that has lost ``maximum_lost_workers`` fails. With ``timing`` its jobs are timers. A kind whose jobs
    end with much to write is ``gathered``: while many of them run, those that become due or end within some
    milliseconds of each other are claimed and ended together.

    The other members are called in the transaction that writes the outcome; a kind without them writes
    nothing besides its job:

    - ``succeed`` writes the results of jobs that succeeded at the same time.
    - ``end_at_once`` ends jobs that succeeded and writes all that belongs to it, in one statement, so that
      most of them need no transaction of several. It returns the jobs that it has ended; it leaves out those
      whose attempt is not current, those that were asked to end, and those for which more has to be written.
    - ``fail`` takes the organization, the subject and the error's message.
    - ``cancel`` takes the organization and the subject. It is called when the cancellation is requested.
    - ``reopen`` takes the organization and the subject when an operator retries a failed job, and returns
      whether there is still something to retry.
    """

    name: KindName
    description: str
    runner: Callable[[Resources], Runner[Result]]
    concurrency: Callable[[Settings], int]
    priority: int
    maximum_attempts: int = MAXIMUM_ATTEMPTS
    maximum_lost_workers: int = MAXIMUM_LOST_WORKERS
    succeed: Callable[[Connection, Sequence[Finished[Result]]], Awaitable[None]] | None = None
    end_at_once: Callable[[Connection, Sequence[Finished[Result]]], Awaitable[Sequence[JobId]]] | None = None
    fail: Callable[[Connection, OrganizationId, SubjectId, str], Awaitable[None]] | None = None
    cancel: Callable[[Connection, OrganizationId, SubjectId], Awaitable[None]] | None = None
    reopen: Callable[[Connection, OrganizationId, SubjectId], Awaitable[bool]] | None = None
    usage: JobUsage[Result] | None = None
    recurrence: Recurrence | None = None
    timing: Timing | None = None
    gathered: bool = False

    @property
    def ends_with_its_job(self) -> bool:
        """Return whether success writes nothing besides the job: no resource, no usage."""
        return self.succeed is None and self.usage is None

    def runnable(self, settings: Settings, resources: Resources) -> RunnableKind[Result]:
        """Return the kind as a dispatcher with these settings and resources runs it."""
        return RunnableKind(
            kind=self,
            run=self.runner(resources),
            concurrency=self.concurrency(settings),
            interval=0.0 if self.recurrence is None else self.recurrence.interval(settings),
        )


AnyKind: TypeAlias = JobKind[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnableKind(Generic[Result]):
    """A kind as one dispatcher runs it; ``interval`` is in seconds, 0 without a schedule."""

    kind: JobKind[Any, Result]
    run: Runner[Result]
    concurrency: int
    interval: float = 0.0


class JobKinds(Generic[Resources]):
    """Registry of kinds, by name. Raises ValueError when two have the same name."""

    def __init__(self, kinds: Iterable[JobKind[Resources, Any]]) -> None:
        self._kinds: dict[str, JobKind[Resources, Any]] = {}
        for kind in kinds:
            if kind.name in self._kinds:
                raise ValueError(f"two kinds of job are named {kind.name}")
            self._kinds[kind.name] = kind

    def __getitem__(self, name: str) -> JobKind[Resources, Any]:
        """Return the kind of this name. Raises UnknownKind."""
        kind = self._kinds.get(name)
        if kind is None:
            raise UnknownKind(f"{name} is not a kind of job in this release")
        return kind

    def __iter__(self) -> Iterator[JobKind[Resources, Any]]:
        """Iterate over the kinds in the order of their registration."""
        return iter(self._kinds.values())

    @property
    def names(self) -> list[KindName]:
        """Names of all kinds, in the order of their registration."""
        return [kind.name for kind in self]


AnyKinds: TypeAlias = JobKinds[Any]
