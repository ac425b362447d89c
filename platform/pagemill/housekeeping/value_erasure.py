"""Erasure of the values of documents that are gone, wherever they were copied to.

A pass looks at everything: predictions, objects, data bundles, executions with their steps and logs, and kept
answers. It changes nothing that it has changed before, so that it can be broken off at any point and begun
anew. What is gone is looked for until nothing that was under way at its deletion can write its values any
more, and no open execution names it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TypeAlias

from db import erasures as statements
from db.erasures import NamingExecutionRow
from db.schedule import get_time
from db.statements import Connection
from pagemill.concurrency import gather_or_cancel
from pagemill.housekeeping.bundle_erasure import erase_deleted_documents
from pagemill.ids import (
    DocumentId,
    OrganizationId,
    TransitionExecutionId,
    WorkflowExecutionId,
    WorkflowId,
)
from pagemill.jobs.kind import AnyKind
from pagemill.jobs.queue import request_cancel
from pagemill.objects import ObjectStore
from pagemill.objects.keys import document_prefix
from pagemill.workflows.workflow_executions import cancel, lock_execution

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]

PAGE_SIZE = 200
OBJECTS_AT_ONCE = 16
"""Documents whose objects are deleted at a time."""
UNDER_WAY = datetime.timedelta(hours=1)
"""Longer than a request or a job takes that began when the document still existed."""
BY = "the deletion of its document"


@dataclass(slots=True)
class ErasureReport:
    """Result of a pass: what was emptied, and how many open executions name what is gone."""

    documents: int = 0
    executions: int = 0
    answers: int = 0
    open_executions: int = 0
    still_named: set[str] = field(default_factory=set)


class ValueErasure:
    """Passes through one organization. ``prediction`` is the kind of the jobs that predict.

    Executions of workflows that are still open ``patience`` seconds after the deletion are ended.
    """

    def __init__(
        self,
        connect: Connect,
        objects: ObjectStore,
        organization_id: OrganizationId,
        *,
        prediction: AnyKind,
        patience: float,
    ) -> None:
        self._connect, self._objects, self._organization_id = connect, objects, organization_id
        self._prediction, self._patience = prediction, datetime.timedelta(seconds=patience)

    async def run(self, *, under_way: datetime.timedelta = UNDER_WAY) -> ErasureReport:
        """Make one pass. Raises Unavailable."""
        report = ErasureReport()
        async with self._connect() as connection:
            begun = await get_time(connection)
        await self._erase_documents(report)
        await erase_deleted_documents(self._connect, self._objects, self._organization_id)
        await self._empty_executions(report, begun - self._patience)
        await self._empty_steps(report)
        async with self._connect() as connection, connection.transaction():
            await statements.clear_errors(connection, organization_id=self._organization_id)
            report.answers = await statements.empty_answers(connection, organization_id=self._organization_id)
            await statements.end_erasures(
                connection,
                organization_id=self._organization_id,
                before=begun - under_way,
                still_named=sorted(report.still_named),
            )
        return report

    async def _erase_documents(self, report: ErasureReport) -> None:
        """Delete predictions and objects of what is gone, a page at a time."""
        after_id = ""
        while True:
            async with self._connect() as connection:
                rows = await statements.list_erased_documents(
                    connection, organization_id=self._organization_id, after_id=after_id, limit=PAGE_SIZE
                )
                await self._erase_predictions(connection, [row.id for row in rows])
            await self._erase_objects([row.id for row in rows if not row.objects_erased])
            report.documents += len(rows)
            if len(rows) < PAGE_SIZE:
                return
            after_id = rows[-1].id

    async def _erase_predictions(self, connection: Connection, document_ids: list[DocumentId]) -> None:
        """Delete predictions; pending ones are cancelled first, so that they are not counted."""
        async with connection.transaction():
            pending = await statements.list_pending_predictions(
                connection, organization_id=self._organization_id, document_ids=document_ids
            )
            for prediction_id in pending:
                await request_cancel(
                    connection,
                    self._prediction,
                    organization_id=self._organization_id,
                    subject_id=prediction_id,
                )
            await statements.erase_predictions(
                connection, organization_id=self._organization_id, document_ids=document_ids
            )

    async def _erase_objects(self, document_ids: list[DocumentId]) -> None:
        if not document_ids:
            return
        for begin in range(0, len(document_ids), OBJECTS_AT_ONCE):
            await gather_or_cancel(
                self._objects.delete_prefix(document_prefix(self._organization_id, document_id))
                for document_id in document_ids[begin : begin + OBJECTS_AT_ONCE]
            )
        async with self._connect() as connection:
            await statements.record_erased_objects(
                connection, organization_id=self._organization_id, document_ids=document_ids
            )

    async def _empty_executions(self, report: ErasureReport, before: datetime.datetime) -> None:
        workflow_id, time, after_id = WorkflowId(""), None, WorkflowExecutionId("")
        while True:
            async with self._connect() as connection:
                rows = await statements.list_naming_executions(
                    connection,
                    organization_id=self._organization_id,
                    after_workflow_id=workflow_id,
                    after_time=time,
                    after_id=after_id,
                    limit=PAGE_SIZE,
                )
                for row in rows:
                    if row.named and not row.has_ended:
                        # Also of one that is ended now: its jobs may need a moment to let go.
                        report.still_named.update(row.named)
                        report.open_executions += not await self._end(connection, row, before)
                if named := [row.id for row in rows if row.named]:
                    report.executions += await statements.empty_executions(
                        connection, organization_id=self._organization_id, execution_ids=named
                    )
            if len(rows) < PAGE_SIZE:
                return
            workflow_id, time, after_id = rows[-1].workflow_id, rows[-1].start_time, rows[-1].id

    async def _end(self, connection: Connection, row: NamingExecutionRow, before: datetime.datetime) -> bool:
        """End an open execution when its document is gone for long, and return whether that was done."""
        if not await statements.is_gone_since(
            connection, organization_id=self._organization_id, named=row.named, before=before
        ):
            return False
        async with connection.transaction():
            execution = await lock_execution(connection, self._organization_id, row.id)
            if execution is None or execution.status not in ("running", "retry"):
                return False
            await cancel(execution, by=BY)
        return True

    async def _empty_steps(self, report: ErasureReport) -> None:
        after_id = TransitionExecutionId("")
        while True:
            async with self._connect() as connection:
                rows = await statements.list_naming_steps(
                    connection, organization_id=self._organization_id, after_id=after_id, limit=PAGE_SIZE
                )
                if ended := [row.id for row in rows if row.named and row.has_ended]:
                    report.executions += await statements.empty_steps(
                        connection, organization_id=self._organization_id, alone_ids=ended
                    )
            for row in rows:
                if row.named and not row.has_ended:
                    report.still_named.update(row.named)
                    report.open_executions += 1
            if len(rows) < PAGE_SIZE:
                return
            after_id = rows[-1].id
