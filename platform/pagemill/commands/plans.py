"""``pagemill plans``: plans, and the statements of what organizations owe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, with_database

if TYPE_CHECKING:
    from pagemill.usage.pricing import MonthStatement


@click.group()
def plans() -> None:
    """Define plans, and show what organizations owe for a month."""


@plans.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option(
    "--amend", is_flag=True, help="Also change versions that exist, for their organizations at once."
)
@data_directory_option
def apply(file: Path, dry_run: bool, amend: bool, data_dir: Path) -> None:
    """Insert or change the plans of a TOML FILE; plans that it does not name stay.

    \b
      [[plans]]
      planId = "las:plan:pro"
      version = 1
      name = "Pro"
      currency = "EUR"                # USD, EUR or NOK
      limitedBy = "pages"             # or "fields": what limits predictions
      allowed = { pages = 10000, users = 5 }
      license = { price = 99 }
      pagePredictions = { included = 1000, tiers = [{ upTo = 5000, price = 0.02 }, { price = 0.01 }] }

    A version that exists is not changed, because organizations have agreed to its prices: raise the version.
    """
    from pagemill.usage.plan_changes import apply_plans
    from pagemill.usage.plan_file import PlanFileError, parse_plans

    try:
        wanted = parse_plans(file.read_text())
    except UnicodeDecodeError:
        raise PlanFileError("the file is not UTF-8") from None
    changes = with_database(
        data_dir, lambda connection: apply_plans(connection, wanted, amend=amend, dry_run=dry_run)
    )
    for plan_id, change in changes.items():
        click.echo(f"{plan_id}  {change}{' (dry run)' if dry_run and change != 'unchanged' else ''}")


@plans.command(name="list")
@data_directory_option
def list_plans(data_dir: Path) -> None:
    """List every version of every plan, with the number of its organizations."""
    from rich.console import Console
    from rich.table import Table

    from db.plans import list_all_plans

    table = Table(box=None, pad_edge=False)
    for column in ("plan", "name", "currency", "limited by", "available", "organizations"):
        table.add_column(column)
    for plan in with_database(data_dir, list_all_plans):
        table.add_row(
            plan.id,
            plan.name or "",
            plan.currency,
            plan.limited_by,
            "yes" if plan.available else "no",
            str(plan.organizations),
        )
    Console().print(table)


@plans.command()
@click.argument("organization_id")
@click.option("--month", metavar="YYYY-MM", help="In UTC; the current month if not given.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
@data_directory_option
def statement(organization_id: str, month: str | None, as_json: bool, data_dir: Path) -> None:
    """Show what an organization used in a month, and what it costs.

    The statement of a month that has ended is stored, with the prices of the plan at that time. Any other
    month is computed with the prices of the plan that the organization is on now.
    """
    import msgspec

    from pagemill.ids import OrganizationId
    from pagemill.usage.month_statements import month_statement_of

    result = with_database(
        data_dir, lambda connection: month_statement_of(connection, OrganizationId(organization_id), month)
    )
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(result)).decode() + "\n")
    else:
        _show(result)


def _show(statement: MonthStatement) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{statement.organization_id}  {statement.month}  {statement.plan_id or 'no plan'}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("item")
    for column in ("used", "included", "beyond", "units", statement.currency):
        table.add_column(column, justify="right")
    for line in statement.lines:
        amounts = (line.used, line.included, line.overage, line.units, line.amount)
        table.add_row(line.name, *(f"{amount:f}" for amount in amounts))
    table.add_row("total", "", "", "", "", f"{statement.total:f}")
    Console().print(table)
