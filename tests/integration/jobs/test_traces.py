"""A job's wait, runs and outcome belong to the trace of whoever queued it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from pagemill.errors import Unavailable
from pagemill.jobs import leases
from pagemill.jobs.job import Job
from pagemill.jobs.job_spans import outcome_span
from pagemill.jobs.outcome_writer import OutcomeWriter
from pagemill.tracing.spans import active_trace_id, begin_trace
from pagemill.work.predictions import PREDICTION, PredictionResult
from tests.support.collector import Collector, collecting, recording
from tests.support.tenants import Tenant
from tests.support.working import RESULT, dispatching, submit, succeed, until_ended

PARTS = ["queue prediction", "run prediction", "write outcome"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


async def submitted(pool: asyncpg.Pool, tenant: Tenant) -> tuple[str, str]:
    """The trace of a request that queues a prediction, and the job."""
    with begin_trace("POST", None):
        job_id, _ = await submit(pool, tenant.organization_id)
        return str(active_trace_id()), job_id


async def test_each_job_is_in_the_trace_of_its_request(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant, collector: Collector
) -> None:
    active: dict[str, str | None] = {}

    async def runner(job: Job) -> PredictionResult:
        active[job.id] = active_trace_id()
        return await succeed(job)

    with recording(collector, "dispatcher"):
        jobs = [await submitted(pool, tenant) for tenant in (organization, other_organization) * 2]
        untraced, _ = await submit(pool, organization.organization_id)
        async with dispatching(pool, runner):
            await until_ended(pool, *(job_id for _, job_id in jobs), untraced)
    assert active == {job_id: trace_id for trace_id, job_id in jobs} | {untraced: None}
    for trace_id, job_id in jobs:
        request, *parts = collector.of_trace(trace_id)
        assert [part.name for part in parts] == PARTS
        assert {part.parent_id for part in parts} == {request.span_id}
        queue, run, outcome = parts
        assert queue.start <= queue.end <= run.end <= outcome.end
        assert {part.attributes["pagemill.job.id"] for part in parts} == {job_id}
        assert (run.kind, run.attributes["pagemill.job.attempt"]) == ("consumer", 1)
        assert not any(part.failed for part in parts)
    assert len(collector.spans) == len(jobs) * (1 + len(PARTS))


async def test_each_attempt_has_a_wait_and_a_run(
    pool: asyncpg.Pool, organization: Tenant, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def runner(job: Job) -> PredictionResult:
        if job.attempt == 1:
            raise Unavailable("private words")
        return RESULT

    monkeypatch.setattr("pagemill.jobs.backoff.FIRST_SECONDS", 0.01)
    with recording(collector, "dispatcher"):
        trace_id, job_id = await submitted(pool, organization)
        async with dispatching(pool, runner):
            assert await until_ended(pool, job_id) == ["succeeded"]
    spans = [span for span in collector.of_trace(trace_id) if span.name in PARTS]
    assert sorted((span.name, span.attributes["pagemill.job.attempt"]) for span in spans) == sorted(
        (name, attempt) for name in PARTS for attempt in (1, 2)
    )
    runs = collector.named("run prediction")
    assert [(run.failed, run.attributes.get("error.type")) for run in runs] == [
        (True, "Unavailable"),
        (False, None),
    ]
    outcomes = [one.attributes.get("pagemill.job.outcome") for one in collector.named("write outcome")]
    assert outcomes == ["retried", "succeeded"]
    # The second wait begins when the job is due again, not when it was made.
    first, second = sorted(collector.named("queue prediction"), key=lambda one: one.start)
    assert first.end <= second.start
    assert b"private" not in b"".join(collector.bodies)


async def test_outcomes_of_two_organizations_in_one_commit_are_linked(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant, collector: Collector
) -> None:
    writer = OutcomeWriter(pool)

    async def end(job: Job) -> None:
        with outcome_span(job):
            await writer.finish(PREDICTION, job, RESULT)

    with recording(collector, "dispatcher"):
        traces = [(await submitted(pool, tenant))[0] for tenant in (organization, other_organization)]
        async with pool.acquire() as connection:
            jobs = await leases.claim(connection, PREDICTION, owner="one", lease=60.0, limit=2)
        await asyncio.gather(*map(end, jobs))
    assert await pool.fetchval("SELECT count(DISTINCT xmin::text) FROM job") == 1
    one, two = (
        next(span for span in collector.of_trace(trace) if span.name == "write outcome") for trace in traces
    )
    assert (one.links, two.links) == ([(two.trace_id, two.span_id)], [(one.trace_id, one.span_id)])
    assert one.attributes["pagemill.batch.size"] == two.attributes["pagemill.batch.size"] == 2
    assert {one.attributes["pagemill.organization.id"], two.attributes["pagemill.organization.id"]} == {
        organization.organization_id,
        other_organization.organization_id,
    }
