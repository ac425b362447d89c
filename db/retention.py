"""Documents and data bundles whose retention has passed."""

from __future__ import annotations

from db.documents import LONGEST_RETENTION
from db.statements import Connection, RowCount, tenant
from pagemill.ids import DataBundleId, DocumentId, OrganizationId

# The expression of the indexes document_due and data_bundle_due.
DUE_TIME = "((created_time AT TIME ZONE 'UTC') + retention_in_days * interval '1 day')"
IS_DUE = f"{DUE_TIME} <= now() AT TIME ZONE 'UTC'"


_OF_ORGANIZATION = f"created_time <= now() - make_interval(days => {LONGEST_RETENTION})"
"""A condition: the time is over for which the organization keeps any document."""


# Locked in the order of their ids, like every statement that deletes documents. A document that is given
# more time meanwhile is not due any more once it is locked. IS TRUE makes Postgres find them by their ids.
@tenant(f"""
    WITH due AS MATERIALIZED (
        (
            SELECT id FROM document WHERE organization_id = :organization_id AND {IS_DUE}
            ORDER BY {DUE_TIME} LIMIT :limit
        )
        UNION
        (
            SELECT id FROM document WHERE organization_id = :organization_id AND {_OF_ORGANIZATION}
            ORDER BY created_time, id LIMIT :limit
        )
    )
    SELECT id FROM document
    WHERE organization_id = :organization_id AND id = ANY(ARRAY(SELECT id FROM due))
        AND ({IS_DUE} OR {_OF_ORGANIZATION}) IS TRUE
    ORDER BY id FOR UPDATE
""")
async def lock_due_documents(
    connection: Connection, *, organization_id: OrganizationId, limit: int
) -> list[DocumentId]:
    """Return some documents that are due, at most twice ``limit``; lock them until the transaction ends."""


@tenant(f"""
    SELECT id FROM data_bundle WHERE organization_id = :organization_id AND {IS_DUE}
    ORDER BY {DUE_TIME} LIMIT :limit
""")
async def list_due_data_bundles(
    connection: Connection, *, organization_id: OrganizationId, limit: int
) -> list[DataBundleId]:
    """Return some data bundles that are due, the first due first."""


@tenant(f"""
    DELETE FROM data_bundle
    WHERE organization_id = :organization_id AND id = :data_bundle_id AND {IS_DUE}
""")
async def delete_due_data_bundle(
    connection: Connection, *, organization_id: OrganizationId, data_bundle_id: DataBundleId
) -> RowCount:
    """Delete a data bundle if it is still due."""
