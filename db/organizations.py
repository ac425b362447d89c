"""Organizations and their plans."""

from __future__ import annotations

from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant

ORGANIZATION_COLUMNS = """
    id, name, description, plan_id, payment_method_id, document_retention_in_days,
    created_time, updated_time, updated_by,
    (
        SELECT client_id FROM app_client
        WHERE app_client.organization_id = organization.id AND secret_hash IS NULL
        ORDER BY app_client.created_time, app_client.id LIMIT 1
    ) AS client_id
"""

# The caller's own, for a user also the others that its person is an active user of.
BELONGS = """
    organization.id IN (
        SELECT $1
        UNION
        SELECT other.organization_id FROM organization_user AS own
        JOIN organization_user AS other ON other.profile_id = own.profile_id
        WHERE own.organization_id = $1 AND own.id = $2 AND other.status = 'active'
    )
"""

LIST_ORGANIZATIONS = tenant(
    "organizations.list",
    f"""
    SELECT {ORGANIZATION_COLUMNS} FROM organization
    WHERE {BELONGS}
        AND (created_time, id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::text, ''))
    ORDER BY created_time, id LIMIT $5
    """,
)

FIND_ORGANIZATION = tenant(
    "organizations.find",
    f"SELECT {ORGANIZATION_COLUMNS} FROM organization WHERE id = $3 AND {BELONGS}",
)

GET_ORGANIZATION = tenant(
    "organizations.get", f"SELECT {ORGANIZATION_COLUMNS} FROM organization WHERE id = $1"
)

INSERT_ORGANIZATION = crossing(
    "organizations.insert",
    "creates the tenant itself",
    f"""
    INSERT INTO organization (id, name, description, plan_id, document_retention_in_days, created_time)
    VALUES ($1, $2, $3, $4, $5, now())
    RETURNING {ORGANIZATION_COLUMNS}
    """,
)

# A member that is not sent keeps its value: each comes with a flag that says whether it was.
UPDATE_ORGANIZATION = tenant(
    "organizations.update",
    f"""
    UPDATE organization SET
        name = CASE WHEN $2 THEN $3 ELSE name END,
        description = CASE WHEN $4 THEN $5 ELSE description END,
        plan_id = CASE WHEN $6 THEN $7 ELSE plan_id END,
        payment_method_id = CASE WHEN $8 THEN $9 ELSE payment_method_id END,
        updated_time = now(),
        updated_by = $10
    WHERE id = $1
    RETURNING {ORGANIZATION_COLUMNS}
    """,
)

PLAN_COLUMNS = """
    id, slug, version, organization_id, name, description, available, currency, limited_by, definition,
    allowed, created_time,
    (
        SELECT max(newest.version) FROM plan AS newest
        WHERE newest.slug = plan.slug AND (newest.organization_id IS NULL OR newest.organization_id = $1)
    ) AS latest
"""

# A plan without an owner is everybody's; an owned one is seen by its owner alone.
GET_PLAN = tenant(
    "plans.get",
    f"""
    SELECT {PLAN_COLUMNS} FROM plan
    WHERE (organization_id IS NULL OR organization_id = $1)
        AND slug = $2
        AND ($3::integer IS NULL OR version = $3)
    ORDER BY version DESC LIMIT 1
    """,
)

LIST_PLANS = tenant(
    "plans.list",
    f"""
    SELECT {PLAN_COLUMNS} FROM plan
    WHERE (organization_id IS NULL OR organization_id = $1)
        AND version = (
            SELECT max(newest.version) FROM plan AS newest
            WHERE newest.slug = plan.slug AND (newest.organization_id IS NULL OR newest.organization_id = $1)
        )
        AND ($2::text[] IS NULL OR organization_id = ANY($2))
        AND ($3::text IS NULL OR id > $3)
    ORDER BY id LIMIT $4
    """,
)

UPSERT_PLAN = crossing(
    "plans.upsert",
    "plans are the operator's, not a tenant's",
    """
    INSERT INTO plan (
        id, slug, version, organization_id, name, description, available, currency, limited_by, definition,
        allowed
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, description = excluded.description, available = excluded.available,
        currency = excluded.currency, limited_by = excluded.limited_by,
        definition = excluded.definition, allowed = excluded.allowed
    """,
)

GET_PLAN_VERSION = crossing(
    "plans.get_version",
    "plans are the operator's, not a tenant's",
    """
    SELECT id, slug, version, organization_id, name, description, available, currency, limited_by,
        definition, allowed
    FROM plan WHERE id = $1 FOR UPDATE
    """,
)

ALL_PLANS = crossing(
    "plans.all",
    "plans are the operator's, not a tenant's",
    """
    SELECT id, name, currency, limited_by, available, (
        SELECT count(*) FROM organization WHERE organization.plan_id = plan.id
    ) AS organizations
    FROM plan ORDER BY slug, version
    """,
)

ORGANIZATION_PLAN = tenant(
    "organizations.plan",
    """
    SELECT organization.plan_id, plan.currency, plan.definition
    FROM organization LEFT JOIN plan ON plan.id = organization.plan_id
    WHERE organization.id = $1
    """,
)
