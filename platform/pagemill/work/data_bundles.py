"""Jobs that bundle the documents of datasets; a task in the cluster reads the documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from db.data_bundles import fail_data_bundle, reopen_data_bundle, succeed_data_bundle
from db.statements import Connection
from pagemill.ids import DataBundleId, OrganizationId, SubjectId
from pagemill.jobs.job import BATCH, KindName
from pagemill.jobs.kind import Finished, JobKind, Runner
from pagemill.notices.events import tell_of_data_bundle
from pagemill.tracing.spans import within_trace
from pagemill.work.resources import WorkResources


class DataBundleResult(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a data bundle, and the key of the snapshot of its datasets."""

    summary: dict[str, Any]
    object_key: str


@dataclass(frozen=True, kw_only=True)
class DataBundleResources(WorkResources):
    """Resources with the cluster's task that bundles documents."""

    bundle_documents: Runner[DataBundleResult]


async def _succeed(connection: Connection, finished: Sequence[Finished[DataBundleResult]]) -> None:
    for job, result in finished:
        row = await succeed_data_bundle(
            connection,
            organization_id=job.organization_id,
            data_bundle_id=DataBundleId(job.subject_id),
            summary=result.summary,
            object_key=result.object_key,
        )
        with within_trace(job.trace_context):
            await tell_of_data_bundle(connection, job.organization_id, row)


async def _fail(
    connection: Connection, organization_id: OrganizationId, subject_id: SubjectId, _message: str
) -> None:
    await _cancel(connection, organization_id, subject_id)


async def _cancel(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> None:
    row = await fail_data_bundle(
        connection, organization_id=organization_id, data_bundle_id=DataBundleId(subject_id)
    )
    await tell_of_data_bundle(connection, organization_id, row)


async def _reopen(connection: Connection, organization_id: OrganizationId, subject_id: SubjectId) -> bool:
    row = await reopen_data_bundle(
        connection, organization_id=organization_id, data_bundle_id=DataBundleId(subject_id)
    )
    return row is not None


DATA_BUNDLE: JobKind[DataBundleResources, DataBundleResult] = JobKind(
    name=KindName("data-bundle"),
    description="Read the documents of datasets and bundle them for trainings",
    runner=lambda resources: resources.bundle_documents,
    concurrency=lambda settings: settings.data_bundle_concurrency,
    priority=BATCH,
    succeed=_succeed,
    fail=_fail,
    cancel=_cancel,
    reopen=_reopen,
)
