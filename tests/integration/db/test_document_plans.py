"""Lists of documents read what they show, however many documents there are and whatever plan is cached."""

from __future__ import annotations

from typing import Any, Literal

import asyncpg
import pytest

from db.documents import LIST_DOCUMENTS
from tests.support.tenants import Tenant

DOCUMENTS = 20_000
PAGE = 10
READ_AT_MOST = 200
Order = Literal["ascending", "descending"]

# By dataset, by consent, by document.
FILTERS: list[tuple[list[str] | None, ...]] = [
    (None, None, None),
    (["dataset-7"], None, None),
    (["missing"], None, None),
    (None, ["consent-7"], None),
    (["dataset-7"], ["consent-8"], None),
    (None, None, ["document-5", "document-4000"]),
]


@pytest.fixture
async def documents(pool: asyncpg.Pool, organization: Tenant) -> None:
    """Many documents in datasets of 50."""
    await pool.execute(
        """
        INSERT INTO dataset (organization_id, id)
        SELECT $1, 'dataset-' || number FROM generate_series(0, $2::integer / 50) AS number
        """,
        organization.organization_id,
        DOCUMENTS,
    )
    await pool.execute(
        """
        INSERT INTO document (organization_id, id, dataset_id, consent_id, created_time)
        SELECT $1, 'document-' || number, 'dataset-' || number / 50, 'consent-' || number / 50,
            now() + number * interval '1 ms'
        FROM generate_series(1, $2::integer) AS number
        """,
        organization.organization_id,
        DOCUMENTS,
    )
    await pool.execute("ANALYZE document")


def rows_read(plan: dict[str, Any]) -> int:
    """Rows that the plan's scans looked at, those they dropped included."""
    own = 0
    if "Scan" in plan["Node Type"] and "Plans" not in plan:
        own = int((plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"])
    return own + sum(rows_read(part) for part in plan.get("Plans", []))


@pytest.mark.parametrize("order", ["ascending", "descending"])
async def test_a_page_reads_about_a_page(
    pool: asyncpg.Pool, organization: Tenant, documents: None, order: Order
) -> None:
    sql = f"EXPLAIN (ANALYZE, FORMAT JSON) {LIST_DOCUMENTS[order].sql}"
    async with pool.acquire() as connection:
        for filters in FILTERS:
            # From its sixth run on, a statement may get a plan for all cases.
            for _ in range(8):
                plan = await connection.fetchval(
                    sql, organization.organization_id, *filters, None, None, PAGE
                )
            assert rows_read(plan[0]["Plan"]) <= READ_AT_MOST, filters
