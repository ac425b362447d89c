"""Preparation of containers: the image, secrets, the environment, and credentials of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from db.containers import insert_container_credential
from db.pool import acquire
from db.secrets import list_sealed_secrets
from pagemill.client_credentials import hash_secret, new_client_id, new_client_secret
from pagemill.containers.engine import ContainerSpec, Engine, RegistryLogin
from pagemill.containers.environment import (
    Credentials,
    Environment,
    api_address,
    complete_environment,
    merge_environment,
)
from pagemill.errors import PagemillError
from pagemill.ids import SecretId
from pagemill.jobs.job import Job
from pagemill.jobs.leases import hold
from pagemill.secret_box import Sealed, SecretUnreadable
from pagemill.work.container_tasks import ContainerTask
from pagemill.work.resources import WorkResources
from pagemill.workflows.logs import write_line

SUBJECT: Final = "io.pagemill.subject"
ORGANIZATION: Final = "io.pagemill.organization"
"""Labels by which containers are known."""


class NotPrepared(PagemillError):
    """A secret that the container needs is gone, cannot be read, or has not the members it needs."""


class ContainerPreparation:
    """Maker of the descriptions of containers."""

    def __init__(self, resources: WorkResources) -> None:
        self._pool, self._box = resources.pool, resources.secret_box
        self._address = api_address(resources.settings)
        self._with_ca = bool(resources.settings.container_ca_file)

    async def prepare(self, job: Job, task: ContainerTask, engine: Engine) -> ContainerSpec:
        """Have the image pulled and return the description of the container.

        Raises NotPrepared, ImageUnavailable, and JobCancelled when the attempt is not the job's any more.
        """
        parameters = task.parameters
        secrets = await self._secrets(task)
        of_environment = [secrets[one] for one in parameters.environment_secrets or ()]
        environment = merge_environment(task.ids, parameters.environment or {}, of_environment)
        await engine.pull(parameters.image_url, _login(secrets, parameters.secret_id))
        credentials = await self._authorize(job, task, environment)
        return ContainerSpec(
            image=parameters.image_url,
            environment=complete_environment(environment, self._address, credentials, with_ca=self._with_ca),
            labels={SUBJECT: task.subject_id, ORGANIZATION: task.organization_id},
            cpu=parameters.cpu,
            memory=parameters.memory,
        )

    async def _secrets(self, task: ContainerTask) -> Mapping[SecretId, Mapping[str, Any]]:
        """Return the data of all secrets that the task names. Raises NotPrepared."""
        parameters = task.parameters
        wanted = set(parameters.environment_secrets or ())
        if parameters.secret_id is not None:
            wanted.add(parameters.secret_id)
        if not wanted:
            return {}
        if self._box is None:
            raise NotPrepared("PAGEMILL_SECRET_KEYS is not set: secrets cannot be read")
        async with acquire(self._pool) as connection:
            rows = await list_sealed_secrets(
                connection, organization_id=task.organization_id, secret_ids=sorted(wanted)
            )
        if missing := wanted - {row.id for row in rows}:
            raise NotPrepared(f"Secret {min(missing)} does not exist any more")
        try:
            return {
                row.id: self._box.open(
                    task.organization_id, row.id, Sealed(row.key_id, row.nonce, row.ciphertext)
                )
                for row in rows
            }
        except SecretUnreadable as error:
            raise NotPrepared(error.message) from None

    async def _authorize(self, job: Job, task: ContainerTask, environment: Environment) -> Credentials | None:
        """Store credentials for a container that has none, and write what becomes of it into its log."""
        credentials = None
        if environment.needs_credentials:
            credentials = Credentials(new_client_id(), new_client_secret())
        async with acquire(self._pool) as connection, connection.transaction():
            await hold(connection, job)
            if credentials is not None:
                await insert_container_credential(
                    connection,
                    organization_id=task.organization_id,
                    client_id=credentials.client_id,
                    subject_id=task.subject_id,
                    secret_hash=hash_secret(credentials.client_secret),
                    permissions=task.permissions,
                )
            for line in _opening_lines(task, environment.left_out):
                await write_line(connection, task.organization_id, task.log_id, line)
        return credentials


def _opening_lines(task: ContainerTask, left_out: Sequence[str]) -> list[str]:
    lines = [f"Starts a container of {task.parameters.image_url}"]
    if left_out:
        lines.append(f"Left out of its environment, for it is no text: {', '.join(left_out)}")
    return lines


def _login(secrets: Mapping[SecretId, Mapping[str, Any]], secret_id: SecretId | None) -> RegistryLogin | None:
    """Return the credentials for the image's registry. Raises NotPrepared."""
    if secret_id is None:
        return None
    username, password = (secrets[secret_id].get(name) for name in ("username", "password"))
    if not isinstance(username, str) or not isinstance(password, str):
        raise NotPrepared(f"Secret {secret_id} needs username and password to log in to a registry")
    return RegistryLogin(username, password)
