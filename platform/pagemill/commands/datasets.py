"""Command ``pagemill datasets``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, with_database
from pagemill.errors import NotFound
from pagemill.ids import DatasetId

if TYPE_CHECKING:
    from db.statements import Connection


@click.group()
def datasets() -> None:
    """Share datasets with other organizations."""


@datasets.command()
@click.argument("dataset_id")
@data_directory_option
def share(dataset_id: str, data_dir: Path) -> None:
    """Let every organization see a dataset and learn from its documents.

    Other organizations use the composite id that is printed (owner/dataset) in data bundles, which count
    against their own plans. They cannot read or change the documents; models may keep what they learn from
    them.
    """
    click.echo(with_database(data_dir, lambda connection: _set_shared(connection, dataset_id, shared=True)))


@datasets.command()
@click.argument("dataset_id")
@data_directory_option
def unshare(dataset_id: str, data_dir: Path) -> None:
    """Stop sharing a dataset: new bundles of other organizations do not have it."""
    click.echo(with_database(data_dir, lambda connection: _set_shared(connection, dataset_id, shared=False)))


async def _set_shared(connection: Connection, reference: str, *, shared: bool) -> str:
    """Share a dataset or stop sharing it; return its composite id. Raises NotFound."""
    from db.datasets import share_dataset
    from pagemill.audit.events import OPERATOR, AuditEvent, record

    dataset_id = DatasetId(reference.rpartition("/")[2])
    async with connection.transaction():
        owner = await share_dataset(connection, dataset_id=dataset_id, shared=shared)
        if owner is None:
            raise NotFound(f"Dataset {dataset_id} not found")
        action = "shareDataset" if shared else "unshareDataset"
        event = AuditEvent(
            action=action, organization_id=owner, principal_id=OPERATOR, resource_id=dataset_id
        )
        await record(connection, event)
    return f"{owner}/{dataset_id}"
