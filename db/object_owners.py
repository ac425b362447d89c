"""What rows say of objects: for each room of an organization, its rows in the order of their keys."""

from __future__ import annotations

from db.statements import untyped_tenant as tenant

# Object storage lists keys by their bytes, hence the collation.
DOCUMENTS_IN_ORDER = tenant(
    "object_owners.documents",
    """
    SELECT id, content_key FROM document
    WHERE organization_id = $1 AND id COLLATE "C" > $2 ORDER BY id COLLATE "C" LIMIT $3
    """,
)

ASSETS_IN_ORDER = tenant(
    "object_owners.assets",
    """
    SELECT id, content_key FROM asset
    WHERE organization_id = $1 AND id COLLATE "C" > $2 ORDER BY id COLLATE "C" LIMIT $3
    """,
)

DATA_BUNDLES_IN_ORDER = tenant(
    "object_owners.data_bundles",
    """
    SELECT id, object_key FROM data_bundle
    WHERE organization_id = $1 AND id COLLATE "C" > $2 ORDER BY id COLLATE "C" LIMIT $3
    """,
)

# Ids of any length: with the slash that follows them in the key, a-b is before a.
TRAININGS_IN_ORDER = tenant(
    "object_owners.trainings",
    """
    SELECT id, status, artefact_key FROM training
    WHERE organization_id = $1 AND (id || '/') COLLATE "C" > ($2 || '/')
    ORDER BY (id || '/') COLLATE "C" LIMIT $3
    """,
)

SOME_DOCUMENTS = tenant(
    "object_owners.some_documents",
    "SELECT id, content_key FROM document WHERE organization_id = $1 AND id = ANY($2::text[])",
)

SOME_ASSETS = tenant(
    "object_owners.some_assets",
    "SELECT id, content_key FROM asset WHERE organization_id = $1 AND id = ANY($2::text[])",
)

SOME_DATA_BUNDLES = tenant(
    "object_owners.some_data_bundles",
    "SELECT id, object_key FROM data_bundle WHERE organization_id = $1 AND id = ANY($2::text[])",
)

SOME_TRAININGS = tenant(
    "object_owners.some_trainings",
    "SELECT id, status, artefact_key FROM training WHERE organization_id = $1 AND id = ANY($2::text[])",
)
