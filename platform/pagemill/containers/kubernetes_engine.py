"""Engine that runs each container as a Job of Kubernetes: the Job's name is the container's.

The kubelet pulls images when it starts a pod, so what is wrong with an image is learnt from its pod.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, Final

from pagemill.containers.bounds import bounds_of
from pagemill.containers.engine import (
    ContainerRefused,
    ContainerSpec,
    ContainerState,
    EngineUnavailable,
    LabelledContainer,
    NameTaken,
    OutputPiece,
    RegistryLogin,
)
from pagemill.containers.job_manifest import (
    CONTAINER,
    MANAGED,
    STARTED,
    job_manifest,
    names_of,
    secret_manifests,
)
from pagemill.containers.kubernetes_access import SCHEME, KubernetesAccess
from pagemill.containers.kubernetes_api import Interrupted, KubernetesApi, Refused
from pagemill.containers.pod_state import has_begun, id_of, read_state, was_started
from pagemill.settings import Settings

POLL_SECONDS: Final = (0.1, 0.2, 0.4, 1.0)
"""Pauses between two looks at a pod that starts or ends; the last one goes on."""
WAIT_SECONDS: Final = 2.0
SETTLE_SECONDS: Final = 20.0
"""Time in which a pod whose log has ended is shown as ended."""
AT_ONCE: Final = 250
"""Jobs of one page of a list."""
STANDARD_OUTPUT: Final = 1
GONE, CONFLICT, INVALID = 404, 409, 422
NO_LOG: Final = frozenset({400, GONE})
"""Statuses of a pod that has no log yet, or has none any more."""

Json = dict[str, Any]


class KubernetesEngine:
    """Client of the cluster's API for the namespace that the settings name."""

    def __init__(self, settings: Settings, access: KubernetesAccess) -> None:
        self._api = KubernetesApi(access)
        self._bounds, self._grace = bounds_of(settings), settings.container_grace
        self._namespace = settings.container_engine_url.removeprefix(SCHEME)
        self._jobs = f"/apis/batch/v1/namespaces/{self._namespace}/jobs"
        self._pods = f"/api/v1/namespaces/{self._namespace}/pods"
        self._secrets = f"/api/v1/namespaces/{self._namespace}/secrets"

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def describe(self) -> str:
        """Return the version of the cluster, and the namespace."""
        shown = await self._api.get("/version")
        # The namespace has to be one in which this process may work.
        await self._page("")
        return f"Kubernetes {str(shown['gitVersion']).removeprefix('v')}, namespace {self._namespace}"

    async def pull(self, image: str, login: RegistryLogin | None) -> None:
        """Do nothing: the kubelet pulls, on the node where the container will run."""

    async def find(self, name_or_id: str) -> ContainerState | None:
        """Return a container, None when there is none."""
        job = await self._job(name_or_id)
        return None if job is None else read_state(job, await self._pod(job))

    async def create(self, name: str, spec: ContainerSpec) -> str:
        """Create a Job that is suspended, with its Secrets. Raises NameTaken and ContainerRefused."""
        ca = await self._read_ca()
        names = names_of(name, secrets.token_hex(4))
        try:
            job = await self._api.create(self._jobs, job_manifest(names, spec, self._bounds, self._grace))
        except Refused as error:
            if error.code == CONFLICT:
                raise NameTaken(name) from None
            raise _refused("created", error) from error
        try:
            for secret in secret_manifests(names, spec, ca, job["metadata"]["uid"]):
                await self._api.create(self._secrets, secret)
        except Refused as error:
            raise _refused("created", error) from error
        return id_of(job)

    async def _read_ca(self) -> str:
        if not self._bounds.ca_file:
            return ""
        try:
            return await asyncio.to_thread(Path(self._bounds.ca_file).read_text)
        except OSError as error:
            raise EngineUnavailable(f"{self._bounds.ca_file}: {error.strerror}") from error

    async def start(self, container_id: str) -> None:
        """Start a container that has not been started. Raises ContainerRefused."""
        try:
            await self._change(container_id, {"suspend": False}, {STARTED: "true"})
        except Refused as error:
            raise _refused("started", error) from error

    async def output(self, container_id: str) -> AsyncGenerator[OutputPiece, None]:
        """Iterate over what a container has written since its start, and follow it until it ends.

        Raises ImageUnavailable and ContainerRefused.
        """
        pod = await self._begun(container_id)
        if pod is None:
            return
        async with contextlib.aclosing(self._log(pod, follow="true")) as pieces:
            try:
                async for piece in pieces:
                    yield piece
            except Interrupted:
                # Whoever asks sees that the container runs, and asks again.
                return
        await self._settled(container_id)

    async def _log(self, pod: str, **how: str) -> AsyncGenerator[OutputPiece, None]:
        """Iterate over a pod's log. Kubernetes has one for both streams."""
        try:
            async with contextlib.aclosing(
                self._api.stream(f"{self._pods}/{pod}/log", container=CONTAINER, **how)
            ) as found:
                async for data in found:
                    yield OutputPiece(STANDARD_OUTPUT, data)
        except Refused as error:
            if error.code not in NO_LOG:
                raise EngineUnavailable(error.message) from error

    async def _begun(self, container_id: str) -> str | None:
        """Wait until a container has a log, and return its pod's name; None when it never will."""
        pauses = iter(POLL_SECONDS)
        while True:
            job = await self._job(container_id)
            pod = None if job is None else await self._pod(job)
            if has_begun(pod):
                return None if pod is None else str(pod["metadata"]["name"])
            if job is None or read_state(job, pod).phase != "running":
                return None
            await asyncio.sleep(next(pauses, POLL_SECONDS[-1]))

    async def _settled(self, container_id: str) -> None:
        """Wait until a container whose log has ended is shown as ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._ended(container_id, POLL_SECONDS)

    async def _ended(self, container_id: str, pauses: tuple[float, ...]) -> None:
        following = iter(pauses)
        while True:
            state = await self.find(container_id)
            if state is None or state.phase != "running":
                return
            await asyncio.sleep(next(following, pauses[-1]))

    async def last_output(self, container_id: str, lines: int) -> list[OutputPiece]:
        """Return the last lines that a container has written; none when its pod is gone."""
        job = await self._job(container_id)
        pod = None if job is None else await self._pod(job)
        if pod is None:
            return []
        try:
            return [piece async for piece in self._log(pod["metadata"]["name"], tailLines=str(lines))]
        except Interrupted as error:
            raise EngineUnavailable("The API of Kubernetes breaks off") from error

    async def wait(self, container_id: str) -> None:
        """Return when a container has ended, or is gone."""
        await self._ended(container_id, (WAIT_SECONDS,))

    async def stop(self, container_id: str, grace: float) -> None:
        """Have a container ended: its pod was made with the time that it has for that.

        Its time is set to be over, which is final. To delete the pod would leave room for one that is just
        being made, and to suspend the Job would make it one that can be started.
        """
        try:
            await self._change(container_id, {"activeDeadlineSeconds": 1})
        except Refused as error:
            if error.code not in (GONE, CONFLICT, INVALID):
                raise EngineUnavailable(error.message) from error

    async def _change(
        self, container_id: str, specification: Json, annotations: Mapping[str, str] | None = None
    ) -> None:
        """Change a Job, and no later one of its name: a patch with another uid is refused."""
        name, _, uid = container_id.partition("/")
        metadata: Json = {"uid": uid, **({"annotations": dict(annotations)} if annotations else {})}
        await self._api.patch(f"{self._jobs}/{name}", {"metadata": metadata, "spec": specification})

    async def remove(self, name_or_id: str, *, running: bool = False) -> None:
        """Remove a container if there is one. One that runs only goes with ``running``, else it stays."""
        job = await self._job(name_or_id)
        if job is None:
            return
        conditions = {"uid": job["metadata"]["uid"]}
        if not running:
            if read_state(job, await self._pod(job)).phase == "running":
                return
            # It could be started in this moment.
            conditions["resourceVersion"] = job["metadata"]["resourceVersion"]
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": conditions,
        }
        try:
            await self._api.delete(f"{self._jobs}/{job['metadata']['name']}", options)
        except Refused as error:
            if error.code not in (GONE, CONFLICT):
                raise EngineUnavailable(error.message) from error

    async def labelled(self, label: str) -> list[LabelledContainer]:
        """Return all containers that have a label; those of Kubernetes cannot hold ids, annotations do."""
        found: list[LabelledContainer] = []
        following = ""
        while True:
            page = await self._page(following)
            for job in page["items"]:
                annotations = job["metadata"].get("annotations") or {}
                if label in annotations:
                    found.append(LabelledContainer(id_of(job), annotations))
            following = page["metadata"].get("continue") or ""
            if not following:
                return found

    async def _page(self, following: str) -> Json:
        [(name, value)] = MANAGED.items()
        wanted = {"labelSelector": f"{name}={value}", "limit": str(AT_ONCE)}
        try:
            return await self._api.get(self._jobs, **wanted, **({"continue": following} if following else {}))
        except Refused as error:
            # A page that is too old: the next sweep begins anew.
            raise EngineUnavailable(error.message) from error

    async def _job(self, name_or_id: str) -> Json | None:
        name, _, uid = name_or_id.partition("/")
        try:
            job = await self._api.get(f"{self._jobs}/{name}")
        except Refused as error:
            if error.code == GONE:
                return None
            raise EngineUnavailable(error.message) from error
        return job if not uid or job["metadata"]["uid"] == uid else None

    async def _pod(self, job: Json) -> Json | None:
        """Return the pod of a Job, None before it has one, and when it is gone."""
        if not was_started(job):
            return None
        selector = f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"
        try:
            found = await self._api.get(self._pods, labelSelector=selector)
        except Refused as error:
            raise EngineUnavailable(error.message) from error
        pods: list[Json] = sorted(found["items"], key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        return pods[-1] if pods else None


def _refused(what: str, error: Refused) -> ContainerRefused:
    return ContainerRefused(f"The container cannot be {what}: {error.message}")
