"""Preparation of containers: the image, secrets, the environment, and credentials of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from db.containers import insert_container_credential
from db.pool import acquire
from db.statements import Connection
from pagemill.client_credentials import hash_secret, new_client_id, new_client_secret
from pagemill.containers.engine import ContainerSpec, Engine, RegistryLogin
from pagemill.containers.environment import (
    Credentials,
    Environment,
    api_address,
    complete_environment,
    merge_environment,
)
from pagemill.jobs.job import Job
from pagemill.jobs.leases import hold
from pagemill.work.container_tasks import ContainerTask
from pagemill.work.resources import WorkResources
from pagemill.workflows.image_references import read_image_replacements, replaced_image
from pagemill.workflows.logs import write_line
from pagemill.workflows.step_environment import EnvironmentMissing, open_secrets

SUBJECT: Final = "io.pagemill.subject"
ORGANIZATION: Final = "io.pagemill.organization"
"""Labels by which containers are known."""


class ContainerPreparation:
    """Maker of the descriptions of containers."""

    def __init__(self, resources: WorkResources) -> None:
        self._pool, self._box = resources.pool, resources.secret_box
        self._settings = resources.settings

    async def prepare(self, job: Job, task: ContainerTask, engine: Engine) -> ContainerSpec:
        """Have the image pulled and return the description of the container.

        Raises EnvironmentMissing, ImageUnavailable, and JobCancelled when the attempt is not current.
        """
        parameters = task.parameters
        async with acquire(self._pool) as connection:
            secrets = await open_secrets(
                connection, self._box, task.organization_id, parameters.environment_secrets or []
            )
            login = await self._login(connection, task)
        environment = merge_environment(task.ids, parameters.environment or {}, secrets)
        image = replaced_image(parameters.image_url, read_image_replacements(self._settings.step_images))
        await engine.pull(image, login)
        credentials = await self._authorize(job, task, environment)
        return ContainerSpec(
            image=image,
            environment=complete_environment(
                environment,
                api_address(self._settings),
                credentials,
                with_ca=bool(self._settings.container_ca_file),
            ),
            labels={SUBJECT: task.subject_id, ORGANIZATION: task.organization_id},
            cpu=parameters.cpu,
            memory=parameters.memory,
            seconds=task.seconds_left,
            login=login,
        )

    async def _login(self, connection: Connection, task: ContainerTask) -> RegistryLogin | None:
        """Return the credentials for the image's registry. Raises EnvironmentMissing."""
        secret_id = task.parameters.secret_id
        if secret_id is None:
            return None
        [secret] = await open_secrets(connection, self._box, task.organization_id, [secret_id])
        username, password = secret.get("username"), secret.get("password")
        if not isinstance(username, str) or not isinstance(password, str):
            raise EnvironmentMissing(f"Secret {secret_id} needs username and password for a registry")
        return RegistryLogin(username, password)

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
