"""Credentials that a workflow's secret holds: who starts the executions of its mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.app_clients import find_app_client
from db.principals import find_principal
from db.secrets import list_sealed_secrets
from db.statements import Connection
from pagemill.client_credentials import epoch_of
from pagemill.ids import OrganizationId, PrincipalId, SecretId
from pagemill.mail_intake.refusals import CredentialsUnusable
from pagemill.permissions import permissions_of
from pagemill.secret_box import Sealed, SecretBox, SecretUnreadable

NAMES = (
    ("clientId", "clientSecret"),
    ("client_id", "client_secret"),
    ("LAS_CLIENT_ID", "LAS_CLIENT_SECRET"),
)
"""Members of a secret with credentials: the API's names, those of the clients' files and environments."""
NEEDED = ("las:document:*", "las:workflow-execution:*")
"""Resources that the app client has to be allowed to write."""


async def find_starter(
    connection: Connection, secret_box: SecretBox, organization_id: OrganizationId, secret_id: SecretId
) -> PrincipalId:
    """Return the app client whose credentials a secret has, and that may start executions.

    Raises CredentialsUnusable, whose ``detail`` says why to the operator.
    """
    found = await list_sealed_secrets(connection, organization_id=organization_id, secret_ids=[secret_id])
    if not found:
        raise _unusable(f"secret {secret_id} does not exist")
    sealed = Sealed(found[0].key_id, found[0].nonce, found[0].ciphertext)
    try:
        data = secret_box.open(organization_id, secret_id, sealed)
    except SecretUnreadable as error:
        raise _unusable(error.message) from None
    client_id, client_secret = _credentials_in(data, secret_id)
    client = await find_app_client(connection, client_id=client_id)
    # A client of another organization is as unknown as one that does not exist.
    if client is None or client.organization_id != organization_id or client.secret_hash is None:
        raise _unusable(f"secret {secret_id}: there is no such app client with a secret")
    epoch = epoch_of(
        client_secret,
        secret_hash=client.secret_hash,
        previous_secret_hash=client.previous_secret_hash,
        epoch=client.token_epoch,
    )
    if epoch is None:
        raise _unusable(f"secret {secret_id}: wrong client secret")
    starter = PrincipalId(client.id)
    await _check_permissions(connection, organization_id, starter, epoch)
    return starter


def _credentials_in(data: Mapping[str, Any], secret_id: SecretId) -> tuple[str, str]:
    for name, secret_name in NAMES:
        client_id, client_secret = data.get(name), data.get(secret_name)
        if isinstance(client_id, str) and isinstance(client_secret, str):
            return client_id, client_secret
    raise _unusable(f"secret {secret_id} has no clientId and clientSecret")


async def _check_permissions(
    connection: Connection, organization_id: OrganizationId, starter: PrincipalId, epoch: int
) -> None:
    row = await find_principal(
        connection, organization_id=organization_id, principal_id=starter, grant_id=None, epoch=epoch
    )
    permissions = permissions_of(row.permissions if row else [])
    for resource in NEEDED:
        if not permissions.allows(resource, "write"):
            raise _unusable(f"{starter} may not write {resource}")


def _unusable(detail: str) -> CredentialsUnusable:
    return CredentialsUnusable(detail=detail)
