"""Transformations of a dataset: ``/datasets/{datasetId}/transformations``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType, field

from db import transformations as statements
from db.datasets import get_dataset, keep_dataset
from db.transformations import TransformationRow, TransformationStatus
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import Audited, RequestStruct, ResponseStruct, audit
from pagemill.api.resources.datasets import DatasetPath, dataset_not_found
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import TransformationId, new_id
from pagemill.jobs.queue import enqueue, request_cancel
from pagemill.usage.counting import count
from pagemill.work.transformations import TRANSFORMATION

TransformationPath = Annotated[
    TransformationId, Parameter(description="las:dataset-transformation:<32 hexadecimal digits>")
]
MAXIMUM_OPERATIONS = 10
OPTIONS_BYTES = 4096


class Operation(RequestStruct, omit_defaults=True):
    """One change of a dataset. ``remove-duplicates`` keeps the oldest of documents with the same content."""

    type: Literal["remove-duplicates"]
    options: dict[str, Any] | UnsetType = UNSET


class PostTransformation(RequestStruct):
    """A new transformation, at most ten operations in their order."""

    operations: Annotated[list[Operation], Meta(max_length=MAXIMUM_OPERATIONS)] = field(default_factory=list)


class Transformation(Audited, kw_only=True):
    """A transformation of a dataset and its progress."""

    transformation_id: str
    dataset_id: str
    operations: list[dict[str, Any]]
    status: TransformationStatus


class Transformations(ResponseStruct):
    """A page of transformations, with the states that were asked for."""

    transformations: list[Transformation]
    next_token: str | None
    status: list[TransformationStatus] | UnsetType = UNSET


def to_transformation(row: TransformationRow) -> Transformation:
    """Return a transformation as the API shows it."""
    return Transformation(
        transformation_id=row.id,
        dataset_id=row.dataset_id,
        operations=row.operations,
        status=row.status,
        **audit(row),
    )


class TransformationController(Controller):
    """Operations on the transformations of a dataset."""

    path = "/datasets/{dataset_id:str}/transformations"
    tags = ("Transformations",)

    @post(status_code=200, transaction="request")
    async def create_transformation(
        self, dataset_id: DatasetPath, data: PostTransformation, caller: Caller, connection: RequestConnection
    ) -> Transformation:
        """Create a transformation.

        It changes the documents of the dataset in the background, and is `running` until it has `succeeded`
        or `failed`: list the transformations to follow it. `remove-duplicates` deletes documents whose
        content the dataset has more than once, and keeps the oldest of each.
        """
        organization_id, transformation_id = caller.organization_id, new_id(TransformationId)
        operations = _checked(data.operations)
        async with connection.transaction():
            retention = await keep_dataset(connection, organization_id=organization_id, dataset_id=dataset_id)
            if retention is None:
                raise dataset_not_found(dataset_id)
            row = await statements.insert_transformation(
                connection,
                organization_id=organization_id,
                transformation_id=transformation_id,
                dataset_id=dataset_id,
                operations=operations,
                created_by=caller.principal_id,
            )
            await enqueue(
                connection, TRANSFORMATION, organization_id=organization_id, subject_id=transformation_id
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
        """List the transformations of a dataset, oldest first.

        `status` can be repeated: those in one of the given states are listed.
        """
        dataset = await get_dataset(connection, organization_id=caller.organization_id, dataset_id=dataset_id)
        if dataset is None:
            raise dataset_not_found(dataset_id)
        rows = await statements.list_transformations(
            connection,
            organization_id=caller.organization_id,
            dataset_id=dataset_id,
            statuses=status,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page)
        return Transformations(
            transformations=[to_transformation(row) for row in shown],
            next_token=token,
            status=status or UNSET,
        )

    @delete("/{transformation_id:str}", status_code=200)
    async def delete_transformation(
        self,
        dataset_id: DatasetPath,
        transformation_id: TransformationPath,
        caller: Caller,
        connection: RequestConnection,
    ) -> Transformation:
        """Delete a transformation.

        One that is still running is cancelled first; documents that it has deleted stay deleted.
        """
        organization_id = caller.organization_id
        async with connection.transaction():
            row = await statements.get_transformation(
                connection,
                organization_id=organization_id,
                dataset_id=dataset_id,
                transformation_id=transformation_id,
            )
            if row is None:
                raise NotFound(f"Transformation {transformation_id} not found")
            # The job before the transformation, as its worker locks them: the other way round would deadlock.
            await request_cancel(
                connection, TRANSFORMATION, organization_id=organization_id, subject_id=transformation_id
            )
            await statements.delete_transformation(
                connection,
                organization_id=organization_id,
                dataset_id=dataset_id,
                transformation_id=transformation_id,
            )
        return to_transformation(row)


def _checked(operations: list[Operation]) -> list[dict[str, Any]]:
    """Return the operations as they are stored. Raises BadRequest for options that are too large."""
    for index, operation in enumerate(operations):
        if len(msgspec.json.encode(operation.options or {})) > OPTIONS_BYTES:
            raise BadRequest(f"operations[{index}].options: must not be larger than {OPTIONS_BYTES} bytes")
    stored: list[dict[str, Any]] = msgspec.to_builtins(operations)
    return stored
