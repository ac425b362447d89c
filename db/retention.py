"""What is due: documents and data bundles that have been kept as long as they were to be kept."""

from __future__ import annotations

from db.statements import untyped_tenant as tenant

# As the indexes document_due and data_bundle_due have it.
DUE_TIME = "((created_time AT TIME ZONE 'UTC') + retention_in_days * interval '1 day')"
IS_DUE = f"{DUE_TIME} <= now() AT TIME ZONE 'UTC'"

# In the order of their ids, as those who delete documents lock them. What was given more time meanwhile is
# not due any more when its lock is had. IS TRUE, so that they are found by their ids and not by being due.
LOCK_DUE_DOCUMENTS = tenant(
    "retention.lock_due_documents",
    f"""
    WITH due AS MATERIALIZED (
        SELECT id FROM document WHERE organization_id = $1 AND {IS_DUE} ORDER BY {DUE_TIME} LIMIT $2
    )
    SELECT id FROM document
    WHERE organization_id = $1 AND id = ANY(ARRAY(SELECT id FROM due)) AND ({IS_DUE}) IS TRUE
    ORDER BY id FOR UPDATE
    """,
)

DUE_DATA_BUNDLES = tenant(
    "retention.due_data_bundles",
    f"""
    SELECT id FROM data_bundle WHERE organization_id = $1 AND {IS_DUE} ORDER BY {DUE_TIME} LIMIT $2
    """,
)

DELETE_DUE_DATA_BUNDLE = tenant(
    "retention.delete_due_data_bundle",
    f"DELETE FROM data_bundle WHERE organization_id = $1 AND id = $2 AND {IS_DUE}",
)
