"""The platform as a simulation runs it: the product's code, in processes that can die, on a simulated Ray."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from litestar import Response
from ray.exceptions import RayActorError

from db.pool import acquire
from db.trainings import advance_training
from pagemill.api.auth.tokens import Caller
from pagemill.api.http.app_state import KEPT
from pagemill.api.resources.prediction_schemas import PostPrediction
from pagemill.api.resources.predictions import PredictionController
from pagemill.api.resources.trainings import PostTraining, TrainingController
from pagemill.applications.clients import ApplicationClient, PredictionApplication, ReadingApplication
from pagemill.applications.requests import PredictionRequest, ReadingRequest, ReadingResponse
from pagemill.documents.words import DocumentPages
from pagemill.errors import DocumentUnreadable
from pagemill.ids import TrainingId
from pagemill.jobs import job_administration
from pagemill.jobs.admission import QueueAdmission, QueueState, queue_state
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.jobs.job import Job, JobCancelled, WorkerLost
from pagemill.jobs.kind import RunnableKind
from pagemill.jobs.waiting import JobListener
from pagemill.settings import Settings
from pagemill.usage.actor import UsageCounterActor
from pagemill.usage.client import UsageClient
from pagemill.usage.combiner import CONCURRENT_COMMITS, Combiner
from pagemill.usage.reservation_store import PostgresReservationStore
from pagemill.work.kinds import KINDS
from pagemill.work.predictions import PREDICTION, PredictionRunner
from pagemill.work.trainings import TRAINING, TrainingResult
from tests.chaos.simulation.postgres import Pool, Process, Server

Value = TypeVar("Value")
Part = TypeVar("Part", "Api", "Counter", "DispatcherProcess")

LEASE, HEARTBEAT, POLL = 8.0, 4.0, 15.0
PREDICTION_CONCURRENCY = 6
PACES = ((0.5,), (0.05, 0.5), (0.5, 1.5, 12.0), (6.0, 12.0))
"""How long the parts of a prediction take; where all take as long, they end together."""
LONGEST_WAIT = 40.0
GPU_HOURS = 0.25
CLIENT = "las:app-client:one"
UNREADABLE = "unreadable"
SETTINGS = Settings(
    database_url="postgresql://unused", objects_url="file:///unused", token_key="unused", prediction_wait=20.0
)


class Gone(Exception):
    """The process that was asked has died: whether it did what it was asked is not known."""


def pages_of(content_key: str) -> int:
    """How many pages a document has; its key says so."""
    return int(content_key.rpartition("/")[2])


def fields_of(pages: int) -> int:
    """How many fields are found on so many pages."""
    return 2 * pages - 1


class World:
    """What all processes share: chance, whether faults happen, and who is there."""

    def __init__(self, server: Server, chance: random.Random, *, calm: bool) -> None:
        self.server, self.chance = server, chance
        self.faults = not calm
        self.pace = chance.choice(PACES)
        self.apis: list[Api] = []
        self.counters: list[Counter] = []
        self.dispatchers: list[DispatcherProcess] = []
        self.poisonous: set[str] = set()
        """Trainings that kill their worker, the dispatcher with it."""
        self.broken: list[str] = []
        """What must not have happened."""
        self._keepers: list[asyncio.Task[None]] = []

    def happens(self, probability: float) -> bool:
        return self.faults and self.chance.random() < probability

    def keep(self, name: str, make: Callable[[World, Process], Part], living: list[Part]) -> None:
        """Start a process, and another one in its place whenever it ends."""
        self._keepers.append(asyncio.create_task(self._keep(name, make, living)))

    async def _keep(self, name: str, make: Callable[[World, Process], Part], living: list[Part]) -> None:
        while True:
            process = Process(self.server, name)
            part = make(self, process)
            living.append(part)
            work = asyncio.create_task(part.run(), name=name)
            death = asyncio.create_task(process.died.wait())
            await asyncio.wait({work, death}, return_when=asyncio.FIRST_COMPLETED)
            living.remove(part)
            if work.done() and not work.cancelled() and (error := work.exception()) is not None:
                self.broken.append(f"{name} ended by itself: {error!r}")
            process.kill()
            await asyncio.sleep(self.chance.uniform(0.2, 3.0))


async def ask(process: Process, work: Awaitable[Value]) -> Value:
    """What another process answers; it does not hear when it is not waited for any more.

    Raises Gone when it dies before.
    """
    task = asyncio.ensure_future(work)
    death = asyncio.create_task(process.died.wait())
    try:
        await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        death.cancel()
    if process.dead:
        raise Gone(process.name)
    return task.result()


class Api:
    """An API process: the handlers of the product on connections that break."""

    def __init__(self, _world: World, process: Process) -> None:
        self.process = process
        self._pool = cast("Any", Pool(process, 4))
        self._listener = JobListener(self._pool)
        admission = QueueAdmission(
            self._look,
            longest_wait=LONGEST_WAIT,
            slots=PREDICTION_CONCURRENCY,
            clock=asyncio.get_running_loop().time,
        )
        state = SimpleNamespace(
            settings=SETTINGS,
            connection=lambda: acquire(self._pool),
            listener=self._listener,
            admission=admission,
        )
        self._request = cast("Any", SimpleNamespace(scope={"state": {KEPT: state}}))

    async def _look(self) -> QueueState:
        async with self._pool.acquire() as connection:
            return await queue_state(connection, PREDICTION)

    async def run(self) -> None:
        await self._listener.start()
        await self.process.died.wait()

    async def predict(self, organization_id: str, *, document_id: str, waits: bool) -> str:
        """The id of a new prediction, which may have ended already."""
        data = PostPrediction(
            document_id=document_id, model_id=f"{organization_id}:model", is_async=not waits
        )
        handler = PredictionController.create_prediction.fn
        answer = await handler(None, data, self._request, Caller(organization_id, CLIENT))
        return str(answer.content["predictionId"] if isinstance(answer, Response) else answer.prediction_id)

    async def train(self, organization_id: str) -> str:
        """The id of a new training."""
        data = PostTraining(data_bundle_ids=[f"{organization_id}:bundle"])
        handler = TrainingController.create_training.fn
        async with self._pool.acquire() as connection:
            training = await handler(
                None, f"{organization_id}:model", data, Caller(organization_id, CLIENT), connection
            )
        return str(training.training_id)

    async def cancel(self, subject_id: str) -> None:
        async with self._pool.acquire() as connection:
            await job_administration.cancel_job(connection, KINDS, subject_id)

    async def retry(self, subject_id: str) -> None:
        async with self._pool.acquire() as connection:
            await job_administration.retry_job(connection, KINDS, subject_id)


class Counter(UsageCounterActor):
    """A usage counter actor whose connections break."""

    def __init__(self, _world: World, process: Process) -> None:
        self.process = process
        self._combiner = Combiner(PostgresReservationStore(cast("Any", Pool(process, CONCURRENT_COMMITS))))
        # What operators are shown is no part of a story.
        self._metrics = cast("Any", SimpleNamespace(answered=lambda *_: None, failed=lambda *_: None))

    async def run(self) -> None:
        await self.process.died.wait()


class _Usage(UsageClient):
    """The product's client; its calls reach any counter that lives, or none, and answers get lost."""

    def __init__(self, world: World, process: Process) -> None:
        super().__init__(SETTINGS)
        self._world, self._process = world, process

    async def _look_up(self, _shard: int) -> Any:
        if not self._world.counters:
            raise ValueError("there is no such actor")
        return SimpleNamespace(reserve=SimpleNamespace(remote=self._call))

    async def _call(self, request: bytes) -> bytes:
        await self._process.lives()
        world = self._world
        if not world.counters or world.happens(0.03):
            raise RayActorError
        counter = world.chance.choice(world.counters)
        try:
            answer = await ask(counter.process, counter.reserve(request))
        except Gone:
            raise RayActorError from None
        if world.happens(0.03):
            raise RayActorError
        await self._process.lives()
        return answer


class _Serve:
    """The handles of both applications, seen from one dispatcher."""

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process
        self.read = SimpleNamespace(remote=self._read)
        self.predict = SimpleNamespace(remote=self._predict)

    def options(self, **_options: str) -> _Serve:
        return self

    async def _work(self) -> None:
        await self._process.lives()
        await asyncio.sleep(self._world.chance.choice(self._world.pace))
        await self._process.lives()
        if self._world.happens(0.05):
            raise RayActorError

    async def _read(self, request: ReadingRequest) -> ReadingResponse:
        await self._work()
        if UNREADABLE in request.content_key:
            raise DocumentUnreadable("The document is damaged")
        number = pages_of(request.content_key)
        pages = DocumentPages(
            content_key=request.content_key,
            options=request.options,
            number_of_pages=number,
            indexes=list(range(number)),
        )
        return ReadingResponse(pages=pages, missing=[], next_page=None)

    async def _predict(self, request: PredictionRequest) -> list[dict[str, Any]]:
        await self._work()
        found = fields_of(len(request.pages))
        return [{"label": "total", "value": str(number), "confidence": 0.9} for number in range(found)]


class _Training:
    """A runner of trainings. What is poisonous takes its worker with it."""

    def __init__(self, world: World, process: Process, pool: Any) -> None:
        self._world, self._process, self._pool = world, process, pool

    async def __call__(self, job: Job) -> TrainingResult:
        async with self._pool.acquire() as connection:
            moved = await advance_training(
                connection,
                organization_id=job.organization_id,
                training_id=TrainingId(job.subject_id),
                status="running",
                job_id=job.id,
                attempt=job.attempt,
            )
        if moved is None:
            raise JobCancelled("The training was cancelled or taken over")
        await asyncio.sleep(self._world.chance.choice((0.5, 3.0, 15.0)))
        if job.subject_id in self._world.poisonous:
            self._process.kill()
        await self._process.lives()
        if self._world.happens(0.1):
            raise WorkerLost("Training lost its worker")
        return TrainingResult(evaluation={}, artefact_key="key", gpu_hours=GPU_HOURS)


class DispatcherProcess:
    """A dispatcher with the product's runner of predictions."""

    def __init__(self, world: World, process: Process) -> None:
        self.process = process
        pool = cast("Any", Pool(process, 6))
        handle = cast("Any", _Serve(world, process))
        applications = ApplicationClient(
            ReadingApplication(handle), PredictionApplication(handle, handle), parts_at_once=2
        )
        self._dispatcher = Dispatcher(
            pool,
            [
                RunnableKind(
                    kind=PREDICTION,
                    run=PredictionRunner(
                        pool,
                        applications,
                        _Usage(world, process),
                    ),
                    concurrency=PREDICTION_CONCURRENCY,
                ),
                RunnableKind(kind=TRAINING, run=_Training(world, process, pool), concurrency=1),
            ],
            owner=f"{process.name} {len(world.server.processes)}",
            lease=LEASE,
            heartbeat=HEARTBEAT,
            poll=POLL,
        )

    async def run(self) -> None:
        await self._dispatcher.run()

    def drain(self, seconds: float | None) -> None:
        self._dispatcher.drain(seconds)
