"""Columns of rows in SELECT and RETURNING."""

from __future__ import annotations

from typing import Annotated

from db.statements import NeverNull, Row, columns
from pagemill.ids import AssetId


class ComputedRow(Row):
    """A row with a column that is computed."""

    id: AssetId
    number: Annotated[int, NeverNull("count(*)")]


def test_columns_of_a_row_are_qualified_unless_they_are_computed() -> None:
    assert columns(ComputedRow) == "id, number"
    assert columns(ComputedRow, "asset", number="count(*)") == "asset.id, count(*) AS number"
