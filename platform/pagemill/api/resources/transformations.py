"""Transformations of a dataset: ``/datasets/{datasetId}/transformations``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import asyncpg
import msgspec
from litestar import Controller, delete, get, post
from msgspec import UNSET, Meta, UnsetType, field

from db import transformations as statements
from db.datasets import GET_DATASET, KEEP_DATASET
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import Audited, RequestStruct, ResponseStruct, audit
from pagemill.api.resources.datasets import DatasetPath, dataset_not_found
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import TransformationId, new_id
from pagemill.jobs.job import BATCH
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.usage.counting import count

TransformationStatus = Literal["running", "succeeded", "failed"]
MAXIMUM_OPERATIONS = 10
OPTIONS_BYTES = 4096


class Operation(RequestStruct, omit_defaults=True):
    """``remove-duplicates`` keeps the oldest of the documents that have the same content."""

    type: Literal["remove-duplicates"]
    options: dict[str, Any] | UnsetType = UNSET


class PostTransformation(RequestStruct):
    operations: Annotated[list[Operation], Meta(max_length=MAXIMUM_OPERATIONS)] = field(default_factory=list)


class Transformation(Audited, kw_only=True):
    transformation_id: str
    dataset_id: str
    operations: list[dict[str, Any]]
    status: TransformationStatus


class Transformations(ResponseStruct):
    transformations: list[Transformation]
    next_token: str | None
    status: list[TransformationStatus] | UnsetType = UNSET


def to_transformation(row: asyncpg.Record) -> Transformation:
    return Transformation(
        transformation_id=row["id"],
        dataset_id=row["dataset_id"],
        operations=row["operations"],
        status=row["status"],
        **audit(row),
    )


class TransformationController(Controller):
    path = "/datasets/{dataset_id:str}/transformations"
    tags = ("Transformations",)

    @post(status_code=200, transaction="request")
    async def create_transformation(
        self, dataset_id: DatasetPath, data: PostTransformation, caller: Caller, connection: RequestConnection
    ) -> Transformation:
        """Change the documents of a dataset; the status says when that is done."""
        organization_id, transformation_id = caller.organization_id, new_id(TransformationId)
        operations = _checked(data.operations)
        async with connection.transaction():
            if await KEEP_DATASET.fetch_value(connection, organization_id, dataset_id) is None:
                raise dataset_not_found(dataset_id)
            row = await statements.INSERT_TRANSFORMATION.fetch_one(
                connection, organization_id, transformation_id, dataset_id, operations, caller.principal_id
            )
            await enqueue(
                connection,
                kind="transformation",
                organization_id=organization_id,
                subject_id=transformation_id,
                priority=BATCH,
            )
            await count(connection, organization_id, "transformations")
        return to_transformation(row)

    @get()
    async def list_transformations(
        self,
        dataset_id: DatasetPath,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        status: list[TransformationStatus] | None = None,
    ) -> Transformations:
        if await GET_DATASET.fetch_one(connection, caller.organization_id, dataset_id) is None:
            raise dataset_not_found(dataset_id)
        rows = await statements.LIST_TRANSFORMATIONS.fetch(
            connection, caller.organization_id, dataset_id, status, *page.after, page.limit
        )
        shown, token = cut(rows, page)
        return Transformations(
            transformations=[to_transformation(row) for row in shown],
            next_token=token,
            status=status or UNSET,
        )

    @delete("/{transformation_id:str}", status_code=200)
    async def delete_transformation(
        self, dataset_id: DatasetPath, transformation_id: str, caller: Caller, connection: RequestConnection
    ) -> Transformation:
        """One that still runs is cancelled; what it has removed stays removed."""
        key = (caller.organization_id, dataset_id, transformation_id)
        async with connection.transaction():
            row = await statements.GET_TRANSFORMATION.fetch_one(connection, *key)
            if row is None:
                raise NotFound(f"Transformation {transformation_id} not found")
            # The job before the transformation, as its worker locks them: the other way round would deadlock.
            await request_cancel(connection, caller.organization_id, transformation_id)
            await statements.DELETE_TRANSFORMATION.execute(connection, *key)
        return to_transformation(row)


def _checked(operations: list[Operation]) -> list[dict[str, Any]]:
    """The operations as they are stored. Raises BadRequest for options that are too large."""
    for index, operation in enumerate(operations):
        if len(msgspec.json.encode(operation.options or {})) > OPTIONS_BYTES:
            raise BadRequest(f"operations[{index}].options: must not be larger than {OPTIONS_BYTES} bytes")
    stored: list[dict[str, Any]] = msgspec.to_builtins(operations)
    return stored
