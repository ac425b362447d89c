"""Configurations of a workflow: after an execution, after a failure, and for incoming mail."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.schemas import Email, RequestStruct
from pagemill.api.resources.ids_in_bodies import keep_secrets
from pagemill.api.resources.transition_parameters import (
    Environment,
    EnvironmentSecrets,
    ImageUrl,
    ValidSecretId,
    checked_environment,
    secrets_of,
)
from pagemill.errors import BadRequest
from pagemill.workflows.image_references import checked_image_reference
from pagemill.workflows.origins import check_origins

Origin: TypeAlias = Annotated[str, Meta(max_length=512)]

ADDITIONAL_INPUT_BYTES = 64 * 1024


class CompletedConfig(RequestStruct):
    """Container image to run after each execution."""

    image_url: ImageUrl
    secret_id: ValidSecretId | UnsetType = UNSET
    environment: Environment | UnsetType = UNSET
    environment_secrets: EnvironmentSecrets | UnsetType = UNSET


class ErrorConfig(RequestStruct):
    """Mail address for failures; with ``manual_retry`` a failed execution waits for its next transition."""

    email: Email | UnsetType = UNSET
    manual_retry: bool | UnsetType = UNSET


class EmailConfig(RequestStruct):
    """Incoming mail starts executions when its sender matches one of the expressions, or without any.

    An expression has to match the whole address, in capitals or not; RE2 runs it. The secret has the
    `clientId` and the `clientSecret` of an app client that may start executions. The server chooses the
    address; an address in the request is ignored.
    """

    secret_id: ValidSecretId
    allowed_origins: Annotated[list[Origin], Meta(max_length=100)] | UnsetType | None = UNSET
    additional_workflow_input: dict[str, Any] | UnsetType | None = UNSET
    email: Email | UnsetType = UNSET


def read_completed_config(config: CompletedConfig | UnsetType) -> dict[str, Any] | None:
    """Return the configuration as it is stored; None when it was not sent. Raises BadRequest."""
    if config is UNSET:
        return None
    checked_image_reference(config.image_url, "completedConfig.imageUrl")
    checked_environment(config.environment, "completedConfig.environment")
    return stored(config)


async def check_allowed_origins(config: EmailConfig | UnsetType | None) -> None:
    """Check that the expressions can be used. Raises BadRequest. Call it outside of transactions."""
    if config is not UNSET and config is not None and config.allowed_origins:
        await asyncio.to_thread(check_origins, config.allowed_origins, "emailConfig.allowedOrigins")


def read_email_config(
    config: EmailConfig | UnsetType | None, *, domain: str, before: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return the configuration as it is stored, with the address of ``before`` or a new one.

    Raises BadRequest.
    """
    if config is UNSET or config is None:
        return None
    extra = config.additional_workflow_input
    if extra and len(msgspec.json.encode(extra)) > ADDITIONAL_INPUT_BYTES:
        raise BadRequest(
            f"emailConfig.additionalWorkflowInput: must not be larger than {ADDITIONAL_INPUT_BYTES} bytes"
        )
    email = before["email"] if before else f"{uuid.uuid4().hex}@{domain}"
    return {**stored(config), "email": email}


def stored(config: RequestStruct) -> dict[str, Any]:
    """Return the members that were sent."""
    members: dict[str, Any] = msgspec.to_builtins(config)
    return members


async def keep_config_secrets(
    connection: Connection,
    caller: Caller,
    completed_config: Mapping[str, Any] | None,
    email_config: Mapping[str, Any] | None,
) -> None:
    """Keep the secrets that configurations name from being deleted in this transaction.

    Raises BadRequest naming the member when one does not exist.
    """
    named = secrets_of(completed_config or {}, "completedConfig.") | secrets_of(
        email_config or {}, "emailConfig."
    )
    await keep_secrets(connection, caller, named)
