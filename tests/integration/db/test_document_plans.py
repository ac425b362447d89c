"""Lists of documents read no more rows than they return, whatever plan is cached."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from db.documents import list_documents_ascending, list_documents_descending, list_documents_to_delete
from db.statements import Statement
from tests.support.plans import most_rows_read
from tests.support.tenants import Tenant

DOCUMENTS = 20_000
PAGE = 10
READ_AT_MOST = 200
FIRST_PAGE = {"after_time": None, "after_id": None, "limit": PAGE}

FILTERS: list[dict[str, list[str]]] = [
    {},
    {"dataset_ids": ["dataset-7"]},
    {"dataset_ids": ["missing"]},
    {"consent_ids": ["consent-7"]},
    {"dataset_ids": ["dataset-7"], "consent_ids": ["consent-8"]},
]
BY_ID = {"document_ids": ["document-5", "document-4000"]}


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


@pytest.mark.parametrize("statement", [list_documents_ascending, list_documents_descending])
async def test_a_page_reads_about_a_page(
    pool: asyncpg.Pool, organization: Tenant, documents: None, statement: Statement[..., Any]
) -> None:
    unfiltered = dict.fromkeys(("dataset_ids", "consent_ids", "document_ids"))
    async with pool.acquire() as connection:
        for filters in (*FILTERS, BY_ID):
            arguments = {"organization_id": organization.organization_id, **unfiltered, **filters}
            read = await most_rows_read(connection, statement, **arguments, **FIRST_PAGE)
            assert read <= READ_AT_MOST, filters


async def test_a_page_to_delete_reads_about_a_page(
    pool: asyncpg.Pool, organization: Tenant, documents: None
) -> None:
    unfiltered = dict.fromkeys(("dataset_ids", "consent_ids"))
    async with pool.acquire() as connection:
        for filters in FILTERS:
            arguments = {"organization_id": organization.organization_id, **unfiltered, **filters}
            read = await most_rows_read(connection, list_documents_to_delete, **arguments, **FIRST_PAGE)
            assert read <= READ_AT_MOST, filters
