"""Runner of containers: it starts one, follows it to its end, and removes it.

Exactly one container is started for a task, whoever is killed meanwhile. The engine has one container of a
name, and the name is the task's. Who finds it follows it; one that was never started is made anew, and only
its maker starts it, by its id. The task ends before its container is removed: found without one, it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import Final

from db.containers import delete_container_credentials
from db.pool import DATABASE_ERRORS, Pool, acquire
from pagemill.concurrency import cancel_and_wait, finish_despite_cancellation
from pagemill.containers.engine import (
    ContainerRefused,
    ContainerState,
    Engine,
    EngineUnavailable,
    ImageUnavailable,
    NameTaken,
    OutputPiece,
)
from pagemill.containers.output import LAST_LINES
from pagemill.errors import PagemillError
from pagemill.jobs.job import Job, JobCancelled, TryAgain
from pagemill.jobs.leases import hold
from pagemill.work.container_output import ContainerOutput
from pagemill.work.container_preparation import ContainerPreparation
from pagemill.work.container_tasks import (
    LONGEST_MESSAGE,
    ContainerTask,
    Ending,
    Subjects,
    container_name,
)
from pagemill.work.resources import WorkResources
from pagemill.workflows.failures import TASK_FAILED, TASK_LOST, TIMED_OUT
from pagemill.workflows.step_environment import EnvironmentMissing


class ContainerGone(PagemillError):
    """Somebody has removed the container before it ended."""


NO_ENGINE: Final = Ending(
    "There is no container engine: PAGEMILL_CONTAINER_ENGINE_URL has to name one to run docker transitions",
    "Pagemill.NoContainerEngine",
)
NEVER_RAN: Final = (ContainerRefused, ImageUnavailable)
ERRORS: Final[dict[type[PagemillError], str]] = {
    ImageUnavailable: "Pagemill.ImageUnavailable",
    ContainerRefused: "Pagemill.ContainerRefused",
    ContainerGone: TASK_LOST,
    EnvironmentMissing: "Pagemill.EnvironmentMissing",
}
"""Names by which the ``Retry`` of a task tells failures that are not those of its program."""
LEFT_TO_THE_SWEEP: Final[tuple[type[BaseException], ...]] = (
    EngineUnavailable,
    JobCancelled,
    *DATABASE_ERRORS,
)
WRITE_SECONDS: Final = 0.5
"""Longest time that a line waits to be written into the log."""
FOLLOW_AGAIN_SECONDS: Final = 1.0
NAME_ATTEMPTS: Final = 5
KILLED: Final = 128 + 9
"""Exit status of SIGKILL. Not every engine says whether memory was the reason."""
LEAVING_SECONDS: Final = 10.0
"""Time in which a container ends by itself after it has reported its result."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerWork:
    """Means of a runner of containers. ``grace`` is the time in seconds between SIGTERM and SIGKILL."""

    pool: Pool
    engine: Engine
    subjects: Subjects
    preparation: ContainerPreparation
    grace: float


class ContainerRunner:
    """Runner of the containers of one kind of subjects. ``engine`` is None where none is configured."""

    def __init__(self, resources: WorkResources, engine: Engine | None, subjects: Subjects) -> None:
        self._pool, self._subjects = resources.pool, subjects
        self._work = None
        if engine is not None:
            self._work = ContainerWork(
                pool=resources.pool,
                engine=engine,
                subjects=subjects,
                preparation=ContainerPreparation(resources),
                grace=resources.settings.container_grace,
            )

    async def __call__(self, job: Job) -> None:
        """Run or follow the container of a job. Raises TryAgain and EngineUnavailable."""
        async with acquire(self._pool) as connection:
            task = await self._subjects.find(connection, job)
        if self._work is None:
            if task is not None and not task.is_over:
                await finish_task(self._pool, self._subjects, job, task, NO_ENGINE)
            return
        run = ContainerRun(self._work, job, task)
        try:
            await run.to_the_end()
        except asyncio.CancelledError:
            await finish_despite_cancellation(run.let_go())
            raise
        except JobCancelled:
            await run.let_go()


async def finish_task(pool: Pool, subjects: Subjects, job: Job, task: ContainerTask, ending: Ending) -> None:
    """End a task. Raises JobCancelled when this attempt is not the job's any more."""
    async with acquire(pool) as connection, connection.transaction():
        await hold(connection, job)
        await subjects.finish(connection, task, ending)


class ContainerRun:
    """One attempt to bring one container to its end; ``task`` is None when it is gone."""

    def __init__(self, work: ContainerWork, job: Job, task: ContainerTask | None) -> None:
        self._work, self._engine, self._job, self._task = work, work.engine, job, task
        self._name = container_name(job.subject_id)
        log_id = None if task is None else task.log_id
        self._output = ContainerOutput(work.pool, job.organization_id, log_id)

    async def to_the_end(self) -> None:
        """Run or follow the container, end its task, remove it.

        Raises JobCancelled when the task has ended meanwhile, or somebody else follows the container.
        """
        if self._task is None or self._task.phase != "open":
            await self._close(self._task)
            return
        ending = await self._ending(self._task)
        await finish_task(self._work.pool, self._work.subjects, self._job, self._task, ending)
        await self._tidy()

    async def let_go(self) -> None:
        """Stop the container if its task has ended; otherwise it runs on, and somebody else follows it."""
        try:
            async with acquire(self._work.pool) as connection:
                task = await self._work.subjects.find(connection, self._job)
            if task is None or task.is_over:
                await self._close(task)
        except LEFT_TO_THE_SWEEP as error:
            logger.warning("container %s is left to the sweep: %s", self._name, error)

    async def _close(self, task: ContainerTask | None) -> None:
        """Stop and remove the container of a task that is over; one that has reported may end by itself."""
        reported = task is not None and task.phase == "reported"
        await self._stop(patience=LEAVING_SECONDS if reported else 0.0)
        await self._tidy()

    async def _ending(self, task: ContainerTask) -> Ending:
        """Run or follow the container until it ends or its time is over."""
        try:
            async with asyncio.timeout(max(0.0, task.seconds_left)) as limit:
                await self._output.resume()
                state = await self._follow(await self._started(task))
        except TimeoutError:
            if not limit.expired():
                raise
            await self._stop()
            return Ending("The container was stopped: its time is over", TIMED_OUT)
        except (*NEVER_RAN, ContainerGone, EnvironmentMissing) as error:
            return Ending(error.message, ERRORS[type(error)])
        return exit_ending(state, task, self._output.last_lines)

    async def _started(self, task: ContainerTask) -> str:
        """Return the id of the container, which has been started."""
        for _ in range(NAME_ATTEMPTS):
            state = await self._engine.find(self._name)
            if state is not None and state.phase != "created":
                return state.id
            if state is not None:
                await self._engine.remove(state.id)
            spec = await self._work.preparation.prepare(self._job, task, self._engine)
            with contextlib.suppress(NameTaken):
                container_id = await self._engine.create(self._name, spec)
                await self._start(container_id)
                return container_id
        raise TryAgain(f"there always is another container {self._name}", delay=5.0)

    async def _start(self, container_id: str) -> None:
        """Start the container that this attempt has made. Raises ContainerRefused and TryAgain."""
        try:
            await self._engine.start(container_id)
        except ContainerRefused:
            if await self._engine.find(container_id) is None:
                raise TryAgain("the container was removed before its start", delay=1.0) from None
            raise

    async def _follow(self, container_id: str) -> ContainerState:
        """Write what the container writes into the log until it ends. Raises ContainerGone."""
        while True:
            await self._read(container_id)
            if self._output.is_endless:
                await self._engine.wait(container_id)
            state = await self._engine.find(container_id)
            if state is None:
                raise ContainerGone("The container was removed while it ran")
            if state.phase == "ended":
                if self._output.is_cut:
                    last = await self._engine.last_output(container_id, LAST_LINES)
                    if last:
                        self._output.replace_last(last)
                await self._output.close()
                return state
            # The connection has ended before the container.
            await asyncio.sleep(FOLLOW_AGAIN_SECONDS)
            await self._output.resume()

    async def _read(self, container_id: str) -> None:
        async with contextlib.aclosing(self._engine.output(container_id)) as pieces:
            reading: asyncio.Task[OutputPiece | None] | None = None
            try:
                while not self._output.is_endless:
                    reading = reading or asyncio.ensure_future(anext(pieces, None))
                    seconds = WRITE_SECONDS if self._output.waits else None
                    ended, _ = await asyncio.wait({reading}, timeout=seconds)
                    if not ended:
                        await self._output.write()
                        continue
                    piece, reading = reading.result(), None
                    if piece is None:
                        return
                    await self._output.take(piece)
            finally:
                if reading is not None:
                    await cancel_and_wait([reading])

    async def _stop(self, patience: float = 0.0) -> None:
        """Stop the container if it runs, and write the rest of its output.

        For ``patience`` seconds it is left to itself first.
        """
        state = await self._engine.find(self._name)
        if state is None or state.phase == "created":
            return
        with contextlib.suppress(ContainerGone, *NEVER_RAN):
            if patience and await self._ends_within(patience, state.id):
                return
            await self._engine.stop(state.id, self._work.grace)
            await self._output.resume()
            await self._follow(state.id)

    async def _ends_within(self, seconds: float, container_id: str) -> bool:
        """Follow the container for some time and return whether it has ended. Raises ContainerGone."""
        await self._output.resume()
        try:
            async with asyncio.timeout(seconds) as limit:
                await self._follow(container_id)
        except TimeoutError:
            if not limit.expired():
                raise
            return False
        return True

    async def _tidy(self) -> None:
        """Remove what is left of a task that has ended."""
        await self._engine.remove(self._name, running=True)
        async with acquire(self._work.pool) as connection:
            await delete_container_credentials(
                connection, organization_id=self._job.organization_id, subject_id=self._job.subject_id
            )


def exit_ending(state: ContainerState, task: ContainerTask, last_lines: list[str]) -> Ending:
    """Return what a container has come to that ended by itself: the reason, and its last lines."""
    how = f"The container has ended with exit status {state.exit_code}"
    if state.lost:
        how = f"The container was ended from outside: {state.lost}"
    elif state.out_of_memory:
        how = f"The container was killed: it needed more than {task.parameters.memory} MiB of memory"
    elif state.exit_code == KILLED:
        how = f"{how} (killed, as when it needs more than {task.parameters.memory} MiB of memory)"
    if task.transition_id is None:
        return Ending(how, None)
    error = TASK_LOST if state.lost else TASK_FAILED
    lines = "\n".join(last_lines)
    message = f"{how} and has reported no result"[:LONGEST_MESSAGE]
    if not lines:
        return Ending(message, error)
    message = f"{message}. Its last lines:\n"
    return Ending(message + lines[-(LONGEST_MESSAGE - len(message)) :], error)
