"""Environment of a step: its ids, what its transition sets, and the contents of the secrets that it names."""

from __future__ import annotations

from typing import Any

from db.pool import Pool, acquire
from db.secrets import list_sealed_secrets
from db.statements import Connection
from db.transition_executions import StepToRunRow
from pagemill.errors import PagemillError
from pagemill.ids import OrganizationId, SecretId
from pagemill.secret_box import VARIABLE, Sealed, SecretBox, SecretUnreadable


class EnvironmentMissing(PagemillError):
    """The environment of a step cannot be made."""


async def environment_of_step(
    pool: Pool, box: SecretBox | None, organization_id: OrganizationId, step: StepToRunRow
) -> dict[str, str]:
    """Return the variables of a step; of two with the same name the later one counts.

    Raises EnvironmentMissing when a secret is gone or cannot be opened.
    """
    environment = {"TRANSITION_ID": str(step.transition_id), "EXECUTION_ID": str(step.id)}
    environment |= step.parameters.get("environment") or {}
    secret_ids = step.parameters.get("environmentSecrets") or []
    if secret_ids:
        async with acquire(pool) as connection:
            secrets = await open_secrets(connection, box, organization_id, secret_ids)
        for secret in secrets:
            environment |= {name: _text_of(value) for name, value in secret.items()}
    return environment


async def open_secrets(
    connection: Connection,
    box: SecretBox | None,
    organization_id: OrganizationId,
    secret_ids: list[SecretId],
) -> list[dict[str, Any]]:
    """Return the data of secrets, in this order. Raises EnvironmentMissing naming what cannot be opened."""
    if not secret_ids:
        return []
    if box is None:
        raise EnvironmentMissing(f"{VARIABLE} is not set: secrets cannot be opened")
    rows = await list_sealed_secrets(connection, organization_id=organization_id, secret_ids=secret_ids)
    sealed = {row.id: Sealed(row.key_id, row.nonce, row.ciphertext) for row in rows}
    missing = [secret_id for secret_id in secret_ids if secret_id not in sealed]
    if missing:
        raise EnvironmentMissing(f"Secret {missing[0]} does not exist any more")
    try:
        return [box.open(organization_id, secret_id, sealed[secret_id]) for secret_id in secret_ids]
    except SecretUnreadable as error:
        raise EnvironmentMissing(error.message) from error


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
