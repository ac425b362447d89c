"""``pagemill roles``: the roles of the operator's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, json_option, print_json, with_database
from pagemill.ids import RoleId

if TYPE_CHECKING:
    from db.roles import RoleRow
    from db.statements import Connection


@click.group()
def roles() -> None:
    """Define roles, which organizations give to their users and app clients.

    Roles are the same for all organizations. Admin, member and validator are in every installation.
    """


@roles.command(name="list")
@json_option
@data_directory_option
def list_roles(as_json: bool, data_dir: Path) -> None:
    """List all roles, with the number of users and app clients that have them."""
    from rich.console import Console
    from rich.table import Table

    from db.roles import list_all_roles

    rows = with_database(data_dir, list_all_roles)
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("role", "name", "permissions", "held by"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row.id, row.name or "", str(len(row.permissions)), str(row.holders))
    Console().print(table)


@roles.command()
@click.argument("role_id", metavar="ROLE")
@data_directory_option
def show(role_id: str, data_dir: Path) -> None:
    """Print a role as a file that `pagemill roles define` reads."""
    import yaml

    row = with_database(data_dir, lambda connection: _get(connection, RoleId(role_id)))
    role = {
        "roleId": str(row.id),
        "name": row.name,
        "description": row.description or "",
        "permissions": row.permissions,
    }
    click.echo(yaml.safe_dump({"roles": [role]}, sort_keys=False, allow_unicode=True), nl=False)


@roles.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@data_directory_option
def define(file: Path, dry_run: bool, data_dir: Path) -> None:
    """Insert or change the roles of a YAML or JSON FILE; roles that it does not name stay.

    \b
      roles:
        - roleId: las:role:reviewer
          name: Reviewer
          permissions:
            - {resourceId: "las:document:*", action: read, effect: allow}
            - {resourceId: "las:transition-execution:*", action: "*", effect: allow}

    A resourceId is an id in which * stands for any text; an action is read, write, delegate (to give a role)
    or "*". What one permission denies, no other allows. A change counts at once for all who have the role.
    """
    from pagemill.api.auth.seeded_roles import ROLES
    from pagemill.people.role_changes import define_roles
    from pagemill.people.role_file import parse_roles

    wanted = parse_roles(file.read_bytes())
    changes = with_database(
        data_dir, lambda connection: define_roles(connection, wanted, kept=ROLES, dry_run=dry_run)
    )
    for role_id, change in changes.items():
        click.echo(f"{role_id}  {change}{' (dry run)' if dry_run and change != 'unchanged' else ''}")


@roles.command()
@click.argument("role_id", metavar="ROLE")
@data_directory_option
def remove(role_id: str, data_dir: Path) -> None:
    """Remove a role that no user and no app client has."""
    from pagemill.api.auth.seeded_roles import ROLES
    from pagemill.people.role_changes import remove_role

    with_database(data_dir, lambda connection: remove_role(connection, RoleId(role_id), kept=ROLES))
    click.echo(f"{role_id} removed")


async def _get(connection: Connection, role_id: RoleId) -> RoleRow:
    """Return a role. Raises NotFound."""
    from db.roles import get_role
    from pagemill.errors import NotFound

    row = await get_role(connection, role_id=role_id)
    if row is None:
        raise NotFound(f"there is no role {role_id}")
    return row
