"""What is there when all is quiet again: read past the API, so that the API cannot hide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import psutil

from pagemill.applications.found_fields import count_fields
from pagemill.housekeeping.orphaned_objects import ObjectSweep, SweepReport
from pagemill.objects import ObjectStore
from pagemill.usage.meters import METERS
from tests.chaos.history import Counter, JobRow, Left, Memory, Recorder, Row
from tests.chaos.plan import Operation
from tests.chaos.world import Member, World
from tests.support.running import eventually
from tests.support.stack import stack_processes


async def all_ended(pool: asyncpg.Pool, members: Sequence[Member], *, seconds: float) -> None:
    """Returns when no job of the organizations waits or runs."""
    ids = [member.id for member in members]

    async def look() -> bool:
        open_jobs = await pool.fetchval(
            "SELECT count(*) FROM job WHERE organization_id = ANY($1) AND state IN ('queued', 'running')", ids
        )
        return bool(open_jobs == 0)

    await eventually(look, seconds=seconds)


async def note_rows(
    pool: asyncpg.Pool,
    recorder: Recorder,
    members: Sequence[Member],
    wanted: Sequence[Operation],
    prepared: Mapping[int, str],
) -> None:
    """Resources, jobs and counters of the organizations."""
    ids = [member.id for member in members]
    await _note_predictions(pool, recorder, ids, wanted, prepared)
    for row in await pool.fetch("SELECT * FROM document WHERE organization_id = ANY($1)", ids):
        operation = (row["metadata"] or {}).get("operation")
        _note(recorder, "document", row, None if operation is None else int(operation))
    for row in await pool.fetch("SELECT * FROM transformation WHERE organization_id = ANY($1)", ids):
        _note(recorder, "transformation", row, row["operations"][0]["options"]["operation"])
    for row in await pool.fetch("SELECT * FROM data_bundle WHERE organization_id = ANY($1)", ids):
        _note(recorder, "data-bundle", row, int(row["name"]))
    await _note_jobs(pool, recorder, ids)
    await _note_counters(pool, recorder, ids)


async def _note_predictions(
    pool: asyncpg.Pool,
    recorder: Recorder,
    ids: list[str],
    wanted: Sequence[Operation],
    prepared: Mapping[int, str],
) -> None:
    by_document = {prepared[one.number]: one for one in wanted if one.kind.startswith("prediction")}
    for row in await pool.fetch("SELECT * FROM prediction WHERE organization_id = ANY($1)", ids):
        operation = by_document[row["document_id"]]
        fields = count_fields(row["predictions"] or [])
        _note(recorder, "prediction", row, operation.number, pages=operation.pages, fields=fields)


def _note(
    recorder: Recorder,
    kind: Any,
    row: asyncpg.Record,
    operation: int | None,
    *,
    pages: int = 0,
    fields: int = 0,
) -> None:
    recorder.note(
        Row(
            kind=kind,
            id=row["id"],
            organization_id=row["organization_id"],
            operation=operation,
            status=None if kind == "document" else row["status"],
            pages=pages,
            fields=fields,
        )
    )


async def _note_jobs(pool: asyncpg.Pool, recorder: Recorder, ids: list[str]) -> None:
    rows = await pool.fetch(
        """
        SELECT job.*, (SELECT count(*) FROM chaos_end WHERE job_id = job.id) AS ends
        FROM job WHERE organization_id = ANY($1)
        """,
        ids,
    )
    for row in rows:
        recorder.note(
            JobRow(
                id=row["id"],
                organization_id=row["organization_id"],
                subject_id=row["subject_id"],
                kind=row["kind"],
                state=row["state"],
                attempt=row["attempt"],
                ends=row["ends"],
            )
        )


async def _note_counters(pool: asyncpg.Pool, recorder: Recorder, ids: list[str]) -> None:
    """Those of what the operations do: others count app clients and models."""
    rows = await pool.fetch(
        """
        SELECT counter.organization_id, counter.meter, counter.used, highest.used AS highest,
            (plan.allowed ->> counter.meter)::numeric AS allowed
        FROM usage_counter AS counter
        JOIN chaos_highest AS highest USING (organization_id, month, meter)
        JOIN organization ON organization.id = counter.organization_id
        JOIN plan ON plan.id = organization.plan_id
        WHERE counter.organization_id = ANY($1) AND counter.meter = ANY($2) AND counter.month <> 'total'
        """,
        ids,
        list(METERS),
    )
    for row in rows:
        recorder.note(
            Counter(
                organization_id=row["organization_id"],
                meter=row["meter"],
                used=float(row["used"]),
                highest=float(row["highest"]),
                allowed=None if row["allowed"] is None else float(row["allowed"]),
            )
        )


async def note_left(
    pool: asyncpg.Pool, objects: ObjectStore, recorder: Recorder, members: Sequence[Member]
) -> None:
    """What is left over, and what the sweep leaves of it."""
    ids = [member.id for member in members]
    found = [await _swept(pool, objects, one, delete=True) for one in ids]
    after = [await _swept(pool, objects, one, delete=False) for one in ids]
    recorder.note(
        Left(
            reservations=await pool.fetchval(
                "SELECT count(*) FROM usage_reservation WHERE organization_id = ANY($1)", ids
            ),
            miscounted_datasets=await pool.fetchval(
                """
                SELECT count(*) FROM dataset WHERE organization_id = ANY($1) AND number_of_documents <>
                    (SELECT count(*) FROM document WHERE document.dataset_id = dataset.id)
                """,
                ids,
            ),
            missing_objects=sum(report.missing for report in after),
            orphans=sum(report.orphans for report in found),
            orphans_after_sweep=sum(report.orphans + report.recent for report in after),
        )
    )


async def _swept(
    pool: asyncpg.Pool, objects: ObjectStore, organization_id: str, *, delete: bool
) -> SweepReport:
    """All is quiet, so nothing is too young to be judged."""
    sweep = ObjectSweep(pool.acquire, objects, organization_id, grace=0.0, delete=delete)
    return await sweep.run()


def note_memory(recorder: Recorder, world: World) -> None:
    """How much memory each process of the stack holds."""
    for process in stack_processes(world.stack.data_directory):
        try:
            title, resident = " ".join(process.cmdline())[:80], process.memory_info().rss
        except psutil.Error:
            continue
        recorder.note(Memory(process_id=process.pid, title=title, resident=resident))
