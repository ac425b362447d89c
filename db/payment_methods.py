"""Payment methods: how an organization pays. Card numbers never come here, only what the card is called."""

from __future__ import annotations

from db.statements import untyped_tenant as tenant

PAYMENT_METHOD_COLUMNS = """
    id, name, description, details, setup_intent_secret_hash, stripe_setup_intent_id,
    created_time, created_by, updated_time, updated_by
"""

INSERT_PAYMENT_METHOD = tenant(
    "payment_methods.insert",
    f"""
    INSERT INTO payment_method (
        organization_id, id, name, description, setup_intent_secret_hash, stripe_setup_intent_id, created_by,
        created_time
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, now())
    RETURNING {PAYMENT_METHOD_COLUMNS}
    """,
)

GET_PAYMENT_METHOD = tenant(
    "payment_methods.get",
    f"SELECT {PAYMENT_METHOD_COLUMNS} FROM payment_method WHERE organization_id = $1 AND id = $2",
)

LIST_PAYMENT_METHODS = tenant(
    "payment_methods.list",
    f"""
    SELECT {PAYMENT_METHOD_COLUMNS} FROM payment_method
    WHERE organization_id = $1
        AND (created_time, id) > (coalesce($2::timestamptz, '-infinity'), coalesce($3::text, ''))
    ORDER BY created_time, id LIMIT $4
    """,
)

# A member that is not sent keeps its value: NULL says so where null is no value, a flag where it is one.
UPDATE_PAYMENT_METHOD = tenant(
    "payment_methods.update",
    f"""
    UPDATE payment_method SET
        name = CASE WHEN $3 THEN $4 ELSE name END,
        description = CASE WHEN $5 THEN $6 ELSE description END,
        details = coalesce($7::jsonb, details),
        stripe_payment_method_id = coalesce($8, stripe_payment_method_id),
        updated_time = now(), updated_by = $9
    WHERE organization_id = $1 AND id = $2
    RETURNING {PAYMENT_METHOD_COLUMNS}
    """,
)

LOCK_PAYMENT_METHOD = tenant(
    "payment_methods.lock",
    f"SELECT {PAYMENT_METHOD_COLUMNS} FROM payment_method WHERE organization_id = $1 AND id = $2 FOR UPDATE",
)

# An organization that begins to pay with one holds it with this, so that it is not deleted in between.
KEEP_PAYMENT_METHOD = tenant(
    "payment_methods.keep",
    "SELECT true FROM payment_method WHERE organization_id = $1 AND id = $2 FOR KEY SHARE",
)

PAYS_WITH = tenant(
    "payment_methods.pays_with", "SELECT true FROM organization WHERE id = $1 AND payment_method_id = $2"
)

DELETE_PAYMENT_METHOD = tenant(
    "payment_methods.delete", "DELETE FROM payment_method WHERE organization_id = $1 AND id = $2"
)
