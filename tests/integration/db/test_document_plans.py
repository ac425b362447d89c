"""Lists of documents read what they show, however many documents there are and whatever plan is cached."""

from __future__ import annotations

from typing import Literal

import asyncpg
import pytest

from db.documents import DOCUMENTS_TO_DELETE, LIST_DOCUMENTS
from tests.support.plans import most_rows_read
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


@pytest.mark.parametrize("order", ["ascending", "descending"])
async def test_a_page_reads_about_a_page(
    pool: asyncpg.Pool, organization: Tenant, documents: None, order: Order
) -> None:
    async with pool.acquire() as connection:
        for filters in FILTERS:
            arguments = (organization.organization_id, *filters, None, None, PAGE)
            read = await most_rows_read(connection, LIST_DOCUMENTS[order], *arguments)
            assert read <= READ_AT_MOST, filters


async def test_a_page_to_delete_reads_about_a_page(
    pool: asyncpg.Pool, organization: Tenant, documents: None
) -> None:
    async with pool.acquire() as connection:
        for filters in FILTERS[:-1]:
            arguments = (organization.organization_id, *filters[:2], None, None, PAGE)
            read = await most_rows_read(connection, DOCUMENTS_TO_DELETE, *arguments)
            assert read <= READ_AT_MOST, filters
