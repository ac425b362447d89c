"""What a transition runs with: each type has members of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.schemas import RequestStruct
from pagemill.api.resources.references import keep_assets, keep_secrets
from pagemill.errors import BadRequest
from pagemill.members import convert_member
from pagemill.workflows.images import LONGEST_REFERENCE, checked_image

TransitionType: TypeAlias = Literal["docker", "manual", "lambda"]
ValidSecretId: TypeAlias = Annotated[str, Meta(pattern=r"^las:secret:[a-f0-9]{32}$")]
ValidAssetId: TypeAlias = Annotated[str, Meta(pattern=r"^las:asset:[a-f0-9]{32}$")]
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
    image_url: ImageUrl
    cpu: Cpu | UnsetType = UNSET
    memory: Memory | UnsetType = UNSET
    environment: Environment | UnsetType = UNSET
    environment_secrets: EnvironmentSecrets | UnsetType = UNSET
    secret_id: ValidSecretId | UnsetType = UNSET


class LambdaParameters(RequestStruct):
    lambda_id: LambdaId
    environment: Environment | UnsetType = UNSET
    environment_secrets: EnvironmentSecrets | UnsetType = UNSET


class ManualParameters(RequestStruct):
    assets: Assets | UnsetType = UNSET


class DockerChanges(RequestStruct):
    """null clears; a member that is not named keeps its value."""

    image_url: ImageUrl | UnsetType = UNSET
    cpu: Cpu | UnsetType = UNSET
    memory: Memory | UnsetType = UNSET
    environment: Environment | UnsetType | None = UNSET
    environment_secrets: EnvironmentSecrets | UnsetType | None = UNSET
    secret_id: ValidSecretId | UnsetType | None = UNSET


class LambdaChanges(RequestStruct):
    """null clears; a member that is not named keeps its value."""

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
    """The members as they are stored, those that were not sent left out. Raises BadRequest."""
    schema = (CHANGES if changes else PARAMETERS)[transition_type]
    parameters: dict[str, Any] = msgspec.to_builtins(convert_member(sent, schema, "parameters"))
    if "imageUrl" in parameters:
        checked_image(parameters["imageUrl"], "parameters.imageUrl")
    checked_environment(parameters.get("environment"), "parameters.environment")
    return parameters


def merge_parameters(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored, changed; a null takes the member away."""
    return {name: value for name, value in {**stored, **changes}.items() if value is not None}


async def keep_references(connection: Connection, caller: Caller, parameters: Mapping[str, Any]) -> None:
    """Raises BadRequest naming the member that names a secret or an asset which does not exist."""
    await keep_secrets(connection, caller, secrets_of(parameters, "parameters."))
    assets = parameters.get("assets") or {}
    await keep_assets(
        connection, caller, {f"parameters.assets.{name}": [asset_id] for name, asset_id in assets.items()}
    )


def secrets_of(configuration: Mapping[str, Any], prefix: str) -> dict[str, list[str]]:
    """The secrets that a configuration names, by member."""
    secret_id = configuration.get("secretId")
    return {
        f"{prefix}environmentSecrets": configuration.get("environmentSecrets") or [],
        f"{prefix}secretId": [secret_id] if secret_id else [],
    }


def checked_environment(environment: Mapping[str, str] | UnsetType | None, member: str) -> None:
    """Raises BadRequest for what no process can be given as its environment."""
    if not isinstance(environment, dict):
        return
    if any(not name or "=" in name for name in environment):
        raise BadRequest(f'{member}: names must not be empty or contain "="')
    if len(msgspec.json.encode(environment)) > ENVIRONMENT_BYTES:
        raise BadRequest(f"{member}: must not be larger than {ENVIRONMENT_BYTES} bytes")
