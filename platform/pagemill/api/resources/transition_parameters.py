"""Parameters of transitions; each type of transition has its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from db.statements import Connection
from db.transitions import TransitionType
from pagemill.api.auth.guard import Caller
from pagemill.api.http.schemas import RequestStruct
from pagemill.api.resources.ids_in_bodies import keep_assets, keep_secrets
from pagemill.errors import BadRequest
from pagemill.ids import AssetId, SecretId
from pagemill.validation import convert_member
from pagemill.workflows.image_references import LONGEST_REFERENCE, checked_image_reference

ValidSecretId: TypeAlias = Annotated[SecretId, Meta(pattern=r"^las:secret:[a-f0-9]{32}$")]
ValidAssetId: TypeAlias = Annotated[AssetId, Meta(pattern=r"^las:asset:[a-f0-9]{32}$")]
LambdaId: TypeAlias = Annotated[
    str, Meta(pattern=r"^las:lambda:[a-z0-9\-_]+:[a-z0-9\-_]+$(?!\n)", max_length=256)
]
ImageUrl: TypeAlias = Annotated[str, Meta(max_length=LONGEST_REFERENCE)]
Environment: TypeAlias = dict[str, str]
EnvironmentSecrets: TypeAlias = Annotated[list[ValidSecretId], Meta(max_length=100)]
Assets: TypeAlias = Annotated[dict[str, ValidAssetId], Meta(max_length=100)]
Cpu: TypeAlias = Literal[256, 512, 1024]
Memory: TypeAlias = Literal[512, 1024, 2048, 4096, 8192]

ENVIRONMENT_BYTES = 65_536


class DockerParameters(RequestStruct):
    """Parameters of a ``docker`` transition; ``secret_id`` has the credentials of the image's registry."""

    image_url: ImageUrl
    cpu: Cpu | UnsetType = UNSET
    memory: Memory | UnsetType = UNSET
    environment: Environment | UnsetType = UNSET
    environment_secrets: EnvironmentSecrets | UnsetType = UNSET
    secret_id: ValidSecretId | UnsetType = UNSET


class LambdaParameters(RequestStruct):
    """Parameters of a ``lambda`` transition."""

    lambda_id: LambdaId
    environment: Environment | UnsetType = UNSET
    environment_secrets: EnvironmentSecrets | UnsetType = UNSET


class ManualParameters(RequestStruct):
    """Parameters of a ``manual`` transition: files of its user interface, by any name."""

    assets: Assets | UnsetType = UNSET


class DockerChanges(RequestStruct):
    """Changes of a ``docker`` transition's parameters; null clears a member."""

    image_url: ImageUrl | UnsetType = UNSET
    cpu: Cpu | UnsetType = UNSET
    memory: Memory | UnsetType = UNSET
    environment: Environment | UnsetType | None = UNSET
    environment_secrets: EnvironmentSecrets | UnsetType | None = UNSET
    secret_id: ValidSecretId | UnsetType | None = UNSET


class LambdaChanges(RequestStruct):
    """Changes of a ``lambda`` transition's parameters; null clears a member."""

    lambda_id: LambdaId | UnsetType = UNSET
    environment: Environment | UnsetType | None = UNSET
    environment_secrets: EnvironmentSecrets | UnsetType | None = UNSET


PARAMETERS: dict[TransitionType, type[msgspec.Struct]] = {
    "docker": DockerParameters,
    "lambda": LambdaParameters,
    "manual": ManualParameters,
}
CHANGES: dict[TransitionType, type[msgspec.Struct]] = {
    "docker": DockerChanges,
    "lambda": LambdaChanges,
    "manual": ManualParameters,
}


def read_parameters(
    transition_type: TransitionType, sent: Mapping[str, Any], *, changes: bool = False
) -> dict[str, Any]:
    """Return the members that were sent, as they are stored. Raises BadRequest."""
    schema = (CHANGES if changes else PARAMETERS)[transition_type]
    parameters: dict[str, Any] = msgspec.to_builtins(convert_member(sent, schema, "parameters"))
    if "imageUrl" in parameters:
        checked_image_reference(parameters["imageUrl"], "parameters.imageUrl")
    checked_environment(parameters.get("environment"), "parameters.environment")
    return parameters


def merge_parameters(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored parameters with changes; null removes a member."""
    return {name: value for name, value in {**stored, **changes}.items() if value is not None}


async def keep_named_resources(connection: Connection, caller: Caller, parameters: Mapping[str, Any]) -> None:
    """Keep the secrets and assets that parameters name from being deleted in this transaction.

    Raises BadRequest naming the member when one does not exist.
    """
    await keep_secrets(connection, caller, secrets_of(parameters, "parameters."))
    assets = parameters.get("assets") or {}
    await keep_assets(
        connection, caller, {f"parameters.assets.{name}": [asset_id] for name, asset_id in assets.items()}
    )


def secrets_of(configuration: Mapping[str, Any], prefix: str) -> dict[str, list[str]]:
    """Return the ids of the secrets that a configuration names, by member."""
    secret_id = configuration.get("secretId")
    return {
        f"{prefix}environmentSecrets": configuration.get("environmentSecrets") or [],
        f"{prefix}secretId": [secret_id] if secret_id else [],
    }


def checked_environment(environment: Mapping[str, str] | UnsetType | None, member: str) -> None:
    """Check that a process can be given the environment. Raises BadRequest, naming the member."""
    if not isinstance(environment, dict):
        return
    if any(not name or "=" in name for name in environment):
        raise BadRequest(f'{member}: names must not be empty or contain "="')
    if len(msgspec.json.encode(environment)) > ENVIRONMENT_BYTES:
        raise BadRequest(f"{member}: must not be larger than {ENVIRONMENT_BYTES} bytes")
