"""Command ``pagemill models``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, with_database
from pagemill.errors import NotFound
from pagemill.ids import ModelId

if TYPE_CHECKING:
    from db.statements import Connection


@click.group()
def models() -> None:
    """Share models with other organizations."""


@models.command()
@click.argument("model_id")
@data_directory_option
def share(model_id: str, data_dir: Path) -> None:
    """Let every organization see a model and predict with it.

    Other organizations use the composite id that is printed (owner/model). They cannot change the model, and
    their predictions count against their own plans.
    """
    click.echo(with_database(data_dir, lambda connection: _set_shared(connection, model_id, shared=True)))


@models.command()
@click.argument("model_id")
@data_directory_option
def unshare(model_id: str, data_dir: Path) -> None:
    """Stop sharing a model: only its owner can use it."""
    click.echo(with_database(data_dir, lambda connection: _set_shared(connection, model_id, shared=False)))


async def _set_shared(connection: Connection, reference: str, *, shared: bool) -> str:
    """Share a model or stop sharing it; return its composite id. Raises NotFound."""
    from db.models import share_model
    from pagemill.audit.events import OPERATOR, AuditEvent, record

    model_id = ModelId(reference.rpartition("/")[2])
    async with connection.transaction():
        owner = await share_model(connection, model_id=model_id, shared=shared)
        if owner is None:
            raise NotFound(f"Model {model_id} not found")
        action = "shareModel" if shared else "unshareModel"
        event = AuditEvent(action=action, organization_id=owner, principal_id=OPERATOR, resource_id=model_id)
        await record(connection, event)
    return f"{owner}/{model_id}"
