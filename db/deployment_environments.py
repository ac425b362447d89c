"""Where trainings are deployed to. The operator defines them: everybody's, or one organization's own."""

from __future__ import annotations

from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant

DEPLOYMENT_ENVIRONMENT_COLUMNS = """
    id, organization_id, name, description, model_deployment_units, status, created_time
"""

# $2 is an id as it is stored. Where no version is asked for ($3 is true), that or the newest ``$2:<number>``:
# longer ids have greater numbers.
GET_DEPLOYMENT_ENVIRONMENT = tenant(
    "deployment_environments.get",
    f"""
    SELECT {DEPLOYMENT_ENVIRONMENT_COLUMNS} FROM deployment_environment
    WHERE (organization_id IS NULL OR organization_id = $1)
        AND (id = $2 OR ($3 AND starts_with(id, $2 || ':') AND position('@' IN id) = 0))
    ORDER BY length(id) DESC, id DESC LIMIT 1
    """,
)

LIST_DEPLOYMENT_ENVIRONMENTS = tenant(
    "deployment_environments.list",
    f"""
    SELECT {DEPLOYMENT_ENVIRONMENT_COLUMNS} FROM deployment_environment
    WHERE (organization_id IS NULL OR organization_id = $1)
        AND ($2::text[] IS NULL OR organization_id = ANY($2))
        AND (created_time, id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::text, ''))
    ORDER BY created_time, id LIMIT $5
    """,
)

# Its owner never changes: trainings of the former one may be deployed to it. No row then.
DEFINE_DEPLOYMENT_ENVIRONMENT = crossing(
    "deployment_environments.define",
    "deployment environments are the operator's, not a tenant's",
    f"""
    INSERT INTO deployment_environment AS environment (
        id, organization_id, name, description, model_deployment_units, status, created_time
    )
    VALUES ($1, $2, $3, $4, coalesce($5, 1), coalesce($6, 'available'), now())
    ON CONFLICT (id) DO UPDATE SET
        name = coalesce($3, environment.name),
        description = coalesce($4, environment.description),
        model_deployment_units = coalesce($5, environment.model_deployment_units),
        status = coalesce($6, environment.status)
    WHERE environment.organization_id IS NOT DISTINCT FROM $2
    RETURNING {DEPLOYMENT_ENVIRONMENT_COLUMNS}
    """,
)

ALL_DEPLOYMENT_ENVIRONMENTS = crossing(
    "deployment_environments.all",
    "deployment environments are the operator's, not a tenant's",
    f"""
    SELECT {DEPLOYMENT_ENVIRONMENT_COLUMNS}, (
        SELECT count(*) FROM training WHERE training.deployment_environment_id = deployment_environment.id
    ) AS trainings
    FROM deployment_environment ORDER BY id
    """,
)

INSERT_DEPLOYMENT_ENVIRONMENT = crossing(
    "deployment_environments.insert",
    "deployment environments are the operator's, not a tenant's",
    """
    INSERT INTO deployment_environment (
        id, organization_id, name, description, model_deployment_units, status, created_time
    )
    VALUES ($1, $2, $3, $4, $5, $6, now())
    ON CONFLICT (id) DO NOTHING
    """,
)
