"""What must hold when a story has ended, read from the database by the simulation itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tests.chaos.simulation.platform import GPU_HOURS, fields_of, pages_of
from tests.chaos.simulation.real import RealServer
from tests.chaos.simulation.story import Story

FINAL = ("succeeded", "failed", "cancelled")
JOBS = """
SELECT job.*, prediction.status AS prediction_status, prediction.model_id, document.content_key,
    training.status AS training_status,
    coalesce((SELECT array_agg(state ORDER BY id) FROM simulation.job_state WHERE job_id = job.id), '{}')
        AS states,
    coalesce((SELECT array_agg(attempt || CASE state WHEN 'queued' THEN ' queued' ELSE ' ended' END)
        FROM simulation.job_state WHERE job_id = job.id AND state <> 'running'), '{}') AS written
FROM public.job
LEFT JOIN public.prediction ON prediction.id = job.subject_id
LEFT JOIN public.document ON document.id = prediction.document_id
LEFT JOIN public.training ON training.id = job.subject_id
ORDER BY job.id
"""
LIMITS = """
SELECT peak.organization_id, peak.meter, peak.used, (plan.allowed ->> peak.meter)::numeric AS allowed
FROM simulation.peak JOIN public.organization ON organization.id = peak.organization_id
JOIN public.plan ON plan.id = organization.plan_id
WHERE peak.used > (plan.allowed ->> peak.meter)::numeric
    AND (peak.meter NOT IN ('pages', 'fields') OR peak.meter = plan.limited_by)
"""


async def violations(real: RealServer, story: Story) -> list[str]:
    """Empty when all is well."""
    jobs = await real.admin(JOBS)
    counters = await real.admin("SELECT * FROM public.usage_counter")
    reservations = await real.admin("SELECT * FROM public.usage_reservation")
    over = await real.admin(LIMITS)
    return [
        *(f"limit exceeded: {dict(row)}" for row in over),
        *(f"reservation left behind: {dict(row)}" for row in reservations),
        *_acknowledged_without_job(jobs, story),
        *(problem for job in jobs for problem in _job(job, story)),
        *_counters(jobs, counters),
        *_fences(jobs, story),
        *(problem for job in jobs for problem in _undisturbed(job, story)),
    ]


def _acknowledged_without_job(jobs: list[Any], story: Story) -> Iterator[str]:
    known = {job["subject_id"] for job in jobs}
    for subject_id in story.acknowledged:
        if subject_id not in known:
            yield f"{subject_id} was acknowledged and is not there"


def _job(job: Any, story: Story) -> Iterator[str]:
    """It ended once, and again only when the operator had it tried again; its resource says the same."""
    ends = [state for state in job["states"] if state in FINAL]
    again = story.retried.count(job["subject_id"])
    if not 1 <= len(ends) <= 1 + again or job["states"][-1] not in FINAL:
        yield f"job {job['id']} went through {job['states']}, it was tried again {again} times"
    expected = "failed" if job["state"] == "cancelled" else job["state"]
    if job["kind"] == "training":
        expected = job["state"]
        if job["training_status"] != expected:
            yield f"training {job['subject_id']} is {job['training_status']}, its job {job['state']}"
    # The API deletes a failed prediction that its client waited for.
    elif job["prediction_status"] not in (expected, *(() if expected == "succeeded" else (None,))):
        yield f"prediction {job['subject_id']} is {job['prediction_status']}, its job {job['state']}"
    if job["cancel_requested"] and job["state"] != "cancelled":
        yield f"job {job['id']} was cancelled and {job['state']}"


def _fences(jobs: list[Any], story: Story) -> Iterator[str]:
    """No attempt ends a job, or gives it back, that a later one has."""
    written = {job["id"]: job["written"] for job in jobs}
    for job_id, what in story.server.written:
        if what not in written.get(job_id, ()):
            yield f"attempt {what} job {job_id}, which had {written.get(job_id)}"


def _undisturbed(job: Any, story: Story) -> Iterator[str]:
    """Where nothing goes wrong, nothing is tried twice; what kills its worker is tried twice, not more."""
    if not story.calm or job["subject_id"] in story.retried or job["cancel_requested"]:
        return
    if story.world.poisonous:
        # Their dispatchers die with all that they run.
        if job["subject_id"] in story.world.poisonous and job["attempt"] != 2:
            yield f"training {job['subject_id']} killed {job['attempt']} workers"
    elif job["attempt"] != 1 or job["lost_workers"] != 0:
        yield f"job {job['id']} was tried {job['attempt']} times"


def _counters(jobs: list[Any], counters: list[Any]) -> Iterator[str]:
    """Over all months: what succeeded, to the unit; what was created; each active model once a month."""
    expected: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for job in jobs:
        organization_id = job["organization_id"]
        if job["kind"] == "training":
            expected[organization_id, "trainings"] += 1
            if job["state"] == "succeeded":
                expected[organization_id, "gpu-hours"] += Decimal(str(GPU_HOURS))
        elif job["state"] == "succeeded":
            pages = pages_of(job["content_key"])
            expected[organization_id, "predictions"] += 1
            expected[organization_id, "pages"] += pages
            expected[organization_id, "fields"] += fields_of(pages)
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    models: dict[tuple[str, str], int] = defaultdict(int)
    active: dict[tuple[str, str], Decimal] = {}
    for row in counters:
        meter = row["meter"]
        if meter.startswith("active-model "):
            models[row["organization_id"], row["month"]] += 1
        elif meter == "active-models":
            active[row["organization_id"], row["month"]] = row["used"]
        elif meter != "app-clients" and row["used"]:
            found[row["organization_id"], meter] += row["used"]
    if dict(found) != dict(expected):
        yield f"counted {_plain(found)}, done {_plain(expected)}"
    if dict(models) != active:
        yield f"active models: counted {active}, used {dict(models)}"


def _plain(counts: dict[tuple[str, str], Decimal]) -> dict[str, str]:
    return {f"{key[0][-6:]} {key[1]}": str(value) for key, value in sorted(counts.items())}
