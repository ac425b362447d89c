"""Dispatchers end each job once, also when processes are killed, connections break or Postgres is away."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace

import asyncpg
import pytest

from db.statements import Connection
from pagemill.errors import BadRequest, Unavailable
from pagemill.jobs import backoff, leases, outcome_writer, outcomes
from pagemill.jobs.job import Job
from pagemill.jobs.kind import AnyKinds
from pagemill.jobs.queue import request_cancel
from pagemill.work.predictions import PREDICTION, PredictionResult
from tests.support.queries import statements_run
from tests.support.tenants import Tenant
from tests.support.working import (
    DEADLINE,
    RESULT,
    dispatching,
    job_row,
    prediction_row,
    submit,
    succeed,
    until,
    until_ended,
    used,
)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays that a test can wait for."""
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.02)


class Recorder:
    """A runner that counts its runs by job and does what it is told."""

    def __init__(self, *, seconds: float = 0.0, errors: list[Exception] | None = None) -> None:
        self.runs: Counter[str] = Counter()
        self.at_once = 0
        self.most_at_once = 0
        self._seconds = seconds
        self._errors = list(errors or [])

    async def __call__(self, job: Job) -> PredictionResult:
        self.runs[job.id] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self.at_once -= 1
        if self._errors:
            raise self._errors.pop(0)
        return RESULT


class Endless:
    """A runner that works until it is cancelled."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, _job: Job) -> PredictionResult:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return RESULT


async def test_a_job_is_run_as_soon_as_it_is_queued(pool: asyncpg.Pool, organization: Tenant) -> None:
    """Long before the dispatcher looks by itself."""
    async with dispatching(pool, succeed, poll=600.0):
        job_id, prediction_id = await submit(pool, organization.organization_id)
        assert await until_ended(pool, job_id) == ["succeeded"]
    assert (await prediction_row(pool, prediction_id))["status"] == "succeeded"


async def test_the_end_of_a_job_is_no_reason_to_look_for_others_while_none_waits(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    async with dispatching(pool, succeed):
        await until_ended(pool, (await submit(pool, organization.organization_id))[0])
        with statements_run() as run:
            for _ in range(10):
                await until_ended(pool, (await submit(pool, organization.organization_id))[0])
    # One for each that is heard of, and one more if the first one was heard of late.
    assert run.count("job_leases.claim_jobs") <= 11


async def test_jobs_queued_before_the_dispatcher_are_run(pool: asyncpg.Pool, organization: Tenant) -> None:
    job_ids = [(await submit(pool, organization.organization_id))[0] for _ in range(10)]
    async with dispatching(pool, succeed, limit=3):
        assert set(await until_ended(pool, *job_ids)) == {"succeeded"}


async def test_two_dispatchers_never_run_a_job_twice(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    recorder = Recorder(seconds=0.002)
    async with dispatching(pool, recorder), dispatching(pool, recorder):
        job_ids = [
            (await submit(pool, tenant.organization_id))[0]
            for _ in range(30)
            for tenant in (organization, other_organization)
        ]
        assert set(await until_ended(pool, *job_ids)) == {"succeeded"}
    assert recorder.runs == Counter(job_ids)
    assert await used(pool, organization.organization_id, "predictions") == 30


async def test_no_job_of_a_gathered_kind_is_forgotten(pool: asyncpg.Pool, organization: Tenant) -> None:
    """What becomes due while others run is claimed a little later, without another notification."""
    recorder = Recorder(seconds=0.005)
    async with dispatching(pool, recorder, kinds=[replace(PREDICTION, gathered=True)], limit=8, poll=600.0):
        job_ids = [(await submit(pool, organization.organization_id))[0] for _ in range(40)]
        assert set(await until_ended(pool, *job_ids)) == {"succeeded"}
    assert recorder.runs == Counter(job_ids)


async def test_no_more_jobs_of_a_kind_run_at_once_than_allowed(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    endless = Recorder(seconds=60.0)
    for _ in range(9):
        await submit(pool, organization.organization_id)

    async def three_run() -> bool:
        return endless.at_once == 3

    async with dispatching(pool, endless, limit=3, poll=0.05):
        await until(three_run)
        # Time for a fourth to begin, were it allowed.
        await pool.execute("SELECT pg_sleep(0.3)")
    assert endless.most_at_once == 3


async def test_more_slots_are_used_at_once(pool: asyncpg.Pool, organization: Tenant) -> None:
    endless = Recorder(seconds=60.0)
    for _ in range(9):
        await submit(pool, organization.organization_id)

    async def runs(number: int) -> bool:
        return endless.at_once == number

    async with dispatching(pool, endless, limit=2) as dispatcher:
        await until(lambda: runs(2))
        dispatcher.set_concurrency(PREDICTION.name, 7)
        await until(lambda: runs(7))
    assert endless.most_at_once == 7


async def test_fewer_slots_end_no_job(pool: asyncpg.Pool, organization: Tenant) -> None:
    recorder = Recorder(seconds=0.05)
    job_ids = [(await submit(pool, organization.organization_id))[0] for _ in range(12)]

    async def runs_four() -> bool:
        return recorder.at_once == 4

    async with dispatching(pool, recorder, limit=4) as dispatcher:
        await until(runs_four)
        dispatcher.set_concurrency(PREDICTION.name, 1)
        recorder.most_at_once = 0
        assert set(await until_ended(pool, *job_ids)) == {"succeeded"}
    assert recorder.runs == Counter(job_ids)
    assert recorder.most_at_once <= 4


async def test_a_dead_dispatchers_jobs_are_taken_over_and_its_late_result_is_dropped(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    job_id, prediction_id = await submit(pool, organization.organization_id)
    async with pool.acquire() as connection:
        (dead,) = await leases.claim(connection, PREDICTION, owner="dead", lease=0.3, limit=1)
    recorder = Recorder()
    async with dispatching(pool, recorder, heartbeat=0.05):
        assert await until_ended(pool, job_id) == ["succeeded"]
    assert recorder.runs[job_id] == 1
    before = await prediction_row(pool, prediction_id)
    async with pool.acquire() as connection:
        assert not await outcomes.fail(connection, PREDICTION, dead, BadRequest("late"))
    assert await prediction_row(pool, prediction_id) == before
    assert (await job_row(pool, job_id))["attempt"] == 2
    assert await used(pool, organization.organization_id, "pages") == RESULT.pages


async def test_a_living_dispatcher_keeps_a_job_longer_than_its_lease(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    recorder = Recorder(seconds=0.8)
    job_id, _ = await submit(pool, organization.organization_id)
    async with (
        dispatching(pool, recorder, lease=0.3, heartbeat=0.05),
        dispatching(pool, recorder, lease=0.3, heartbeat=0.05),
    ):
        assert await until_ended(pool, job_id) == ["succeeded"]
    assert recorder.runs[job_id] == 1


async def test_a_dispatcher_that_stood_still_does_not_take_its_jobs_from_itself(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    recorder = Recorder(seconds=1.5)
    async with dispatching(pool, recorder, heartbeat=0.05, lease=0.5):
        job_id, _ = await submit(pool, organization.organization_id)

        async def runs() -> bool:
            return recorder.runs[job_id] == 1

        await until(runs)
        # The dispatcher shares this event loop.
        time.sleep(0.8)  # noqa: ASYNC251
        assert await until_ended(pool, job_id) == ["succeeded"]
    assert recorder.runs[job_id] == 1
    assert (await job_row(pool, job_id))["lost_workers"] == 0


async def test_after_an_outage_living_owners_renew_before_jobs_are_taken_over(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome_writer, "AWAY_SECONDS", 0.0)
    reaped: list[float] = []
    reap = leases.reap

    async def away_at_first(connection: Connection, kinds: AnyKinds) -> list[leases.TakenOver]:
        reaped.append(time.monotonic())
        if len(reaped) == 1:
            raise ConnectionResetError
        return await reap(connection, kinds)

    monkeypatch.setattr(leases, "reap", away_at_first)
    async with dispatching(pool, succeed, heartbeat=0.2):

        async def again() -> bool:
            return len(reaped) > 1

        await until(again)
    assert reaped[1] - reaped[0] >= 0.4


async def test_a_runner_whose_job_was_lost_is_cancelled(pool: asyncpg.Pool, organization: Tenant) -> None:
    endless = Endless()
    job_id, _ = await submit(pool, organization.organization_id)
    async with dispatching(pool, endless, heartbeat=0.05) as dispatcher:
        await asyncio.wait_for(endless.started.wait(), 60)
        await pool.execute(
            "UPDATE job SET attempt = attempt + 1, lease_owner = 'other' WHERE id = $1", job_id
        )

        async def let_go() -> bool:
            return not dispatcher.running

        await until(let_go)
    assert endless.cancelled == 1
    row = await job_row(pool, job_id)
    assert (row["state"], row["lease_owner"]) == ("running", "other")


@pytest.mark.usefixtures("quick_retries")
async def test_a_failed_attempt_is_retried_and_counted_once(pool: asyncpg.Pool, organization: Tenant) -> None:
    recorder = Recorder(errors=[RuntimeError("odd"), Unavailable("away")])
    async with dispatching(pool, recorder):
        job_id, _ = await submit(pool, organization.organization_id)
        assert await until_ended(pool, job_id) == ["succeeded"]
    row = await job_row(pool, job_id)
    assert (recorder.runs[job_id], row["attempt"], row["maximum_attempts"]) == (3, 3, 6)
    assert row["error_class"] is None
    assert await used(pool, organization.organization_id, "predictions") == 1
    assert await used(pool, organization.organization_id, "pages") == RESULT.pages


@pytest.mark.usefixtures("quick_retries")
async def test_a_job_fails_for_good_after_its_last_attempt(pool: asyncpg.Pool, organization: Tenant) -> None:
    recorder = Recorder(errors=[RuntimeError("odd")] * 9)
    async with dispatching(pool, recorder):
        job_id, prediction_id = await submit(pool, organization.organization_id, maximum_attempts=3)
        assert await until_ended(pool, job_id) == ["failed"]
    assert recorder.runs[job_id] == 3
    prediction = await prediction_row(pool, prediction_id)
    assert (prediction["status"], prediction["error"]) == ("failed", "Internal Server Error")
    assert await used(pool, organization.organization_id, "predictions") == 0


async def test_a_final_error_is_not_retried(pool: asyncpg.Pool, organization: Tenant) -> None:
    recorder = Recorder(errors=[BadRequest("the document is encrypted")])
    async with dispatching(pool, recorder):
        job_id, prediction_id = await submit(pool, organization.organization_id)
        assert await until_ended(pool, job_id) == ["failed"]
    assert recorder.runs[job_id] == 1
    assert (await prediction_row(pool, prediction_id))["error"] == "the document is encrypted"


@pytest.mark.usefixtures("quick_retries")
async def test_a_result_that_cannot_be_stored_fails_its_own_job_only(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    bad, _ = await submit(pool, organization.organization_id, maximum_attempts=2)

    async def runner(job: Job) -> PredictionResult:
        if job.id != bad:
            return RESULT
        # Postgres has no text with a zero character.
        return PredictionResult(
            predictions=[{"label": "total", "value": "\0"}],
            inference_time=0.1,
            next_page=None,
            preprocess_config={},
            pages=1,
            fields=1,
        )

    async with dispatching(pool, runner):
        good, _ = await submit(pool, organization.organization_id)
        assert await until_ended(pool, bad, good) == ["failed", "succeeded"]
    assert await used(pool, organization.organization_id, "predictions") == 1


async def test_a_running_job_is_cancelled_at_once(pool: asyncpg.Pool, organization: Tenant) -> None:
    endless = Endless()
    async with dispatching(pool, endless, lease=600.0, heartbeat=300.0):
        job_id, prediction_id = await submit(pool, organization.organization_id)
        await asyncio.wait_for(endless.started.wait(), 60)
        async with pool.acquire() as connection:
            assert await request_cancel(
                connection, PREDICTION, organization_id=organization.organization_id, subject_id=prediction_id
            )
        assert await until_ended(pool, job_id) == ["cancelled"]
    assert endless.cancelled == 1
    assert await used(pool, organization.organization_id, "predictions") == 0


async def test_a_dispatcher_that_stops_gives_its_jobs_back_at_once(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    endless = Endless()
    job_id, _ = await submit(pool, organization.organization_id, maximum_attempts=1)
    async with dispatching(pool, endless, lease=600.0):
        await asyncio.wait_for(endless.started.wait(), 60)
    assert (await job_row(pool, job_id))["state"] == "queued"
    recorder = Recorder()
    async with dispatching(pool, recorder):
        assert await until_ended(pool, job_id) == ["succeeded"]
    assert await used(pool, organization.organization_id, "predictions") == 1


async def test_a_runner_that_does_not_stop_does_not_keep_its_dispatcher(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    release = asyncio.Event()
    started = asyncio.Event()

    async def stubborn(_job: Job) -> PredictionResult:
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                asyncio.get_running_loop().call_later(0.5, release.set)
        return RESULT

    await submit(pool, organization.organization_id)
    begun = time.monotonic()
    async with dispatching(pool, stubborn, heartbeat=0.05):
        await asyncio.wait_for(started.wait(), 60)
    assert time.monotonic() - begun < DEADLINE


async def test_broken_connections_are_replaced(pool: asyncpg.Pool, organization: Tenant) -> None:
    recorder = Recorder(seconds=0.2)
    async with dispatching(pool, recorder) as dispatcher:
        first, _ = await submit(pool, organization.organization_id)

        async def runs() -> bool:
            return recorder.runs[first] == 1

        async def listens() -> bool:
            return dispatcher.is_listening

        async def deaf() -> bool:
            return not dispatcher.is_listening

        await until(runs)
        await pool.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await until(deaf)
        await until(listens)
        second, _ = await submit(pool, organization.organization_id)
        assert await until_ended(pool, first, second) == ["succeeded", "succeeded"]
    assert recorder.runs == Counter([first, second])


async def test_jobs_are_found_without_notifications(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with dispatching(pool, succeed, poll=0.1):
        job_id, _ = await submit(pool, organization.organization_id)
        # As if it had been queued while nobody listened: nothing tells of it.
        await pool.execute(
            "UPDATE job SET state = 'queued', ended_time = NULL, run_after = now() WHERE id = $1", job_id
        )
        assert await until_ended(pool, job_id) == ["succeeded"]


async def test_a_lease_must_outlast_two_heartbeats(pool: asyncpg.Pool) -> None:
    with pytest.raises(ValueError, match="two heartbeats"):
        async with dispatching(pool, succeed, lease=1.0, heartbeat=0.6):
            pass
