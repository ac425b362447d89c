"""Job controller and node of the stand-in: what containers would run are processes of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pagemill.containers.environment import CA_PATH
from tests.support.kubernetes.cluster import Cluster, now
from tests.support.kubernetes.rules import unconfined
from tests.support.step_images import START

Json = dict[str, Any]
TICK = 0.02
LAG = 0.2
"""Time until a pod shows what has become of its process, and a Job what has become of its pod."""


class Node:
    """Runner of the pods of Jobs."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self._cluster, self._directory = cluster, directory
        self._running: dict[str, asyncio.Task[None]] = {}
        self._evicted: set[str] = set()
        self.ended: set[str] = set()
        """Names of the pods whose processes have ended: their logs are complete."""

    async def work(self) -> None:
        """Start the pods of Jobs that may run, until cancelled."""
        try:
            while True:
                for job in list(self._cluster.jobs.values()):
                    uid = job["metadata"]["uid"]
                    if not job["spec"].get("suspend") and uid not in self._running:
                        job["status"]["startTime"] = now()
                        self._running[uid] = asyncio.create_task(self._run(job))
                await asyncio.sleep(TICK)
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def evict(self, job_name: str) -> None:
        """Take a Job's pod away, as when its node is drained."""
        self._evicted.add(self._cluster.jobs[job_name]["metadata"]["uid"])

    def log_of(self, pod_name: str) -> Path:
        return self._directory / pod_name

    async def _run(self, job: Json) -> None:
        uid = job["metadata"]["uid"]
        began = asyncio.get_running_loop().time()
        if list(unconfined(job["spec"]["template"]["spec"])):
            await self._until_over(job, began)
            self._finish(job, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
            return
        pod = self._make_pod(job)
        name = pod["metadata"]["name"]
        try:
            ended, reason = await self._run_pod(job, pod, began)
        finally:
            if uid not in {one["metadata"]["uid"] for one in self._cluster.jobs.values()}:
                self._cluster.pods.pop(name, None)
        await asyncio.sleep(LAG)
        if reason:
            self._cluster.pods.pop(name, None)
            self._finish(job, "Failed", reason, f"Job has ended: {reason}")
        elif ended == 0:
            self._finish(job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        else:
            self._finish(job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")

    async def _run_pod(self, job: Json, pod: Json, began: float) -> tuple[int, str]:
        """Run a pod to its end; return its exit status, and why it was ended if it was."""
        await asyncio.sleep(LAG)
        fault = self._cluster.image_fault(pod)
        if fault:
            self._show(pod, {"waiting": {"reason": "ErrImagePull", "message": fault}})
            return 1, await self._until_over(job, began)
        self._cluster.started.append(job["metadata"]["name"])
        with self.log_of(pod["metadata"]["name"]).open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-u", "-c", START),
                env=self._environment(pod),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        async with _ended_with(process):
            started = now()
            self._show(pod, {"running": {"startedAt": started}}, phase="Running")
            reason = await self._until_over(job, began, process)
            if reason:
                pod["metadata"]["deletionTimestamp"] = now()
                await _terminate(process, job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"])
            code = await process.wait()
        self.ended.add(pod["metadata"]["name"])
        await asyncio.sleep(LAG)
        if reason == "DisruptionTarget":
            message = "Eviction API: evicting"
            pod["status"]["conditions"] = [{"type": reason, "status": "True", "message": message}]
        status = code if code >= 0 else 128 - code
        ended = {"exitCode": status, "startedAt": started, "finishedAt": now(), "reason": "Error"}
        self._show(pod, {"terminated": ended}, phase="Succeeded" if status == 0 else "Failed")
        await asyncio.sleep(LAG)
        return status, reason

    async def _until_over(
        self, job: Json, began: float, process: asyncio.subprocess.Process | None = None
    ) -> str:
        """Return when a process has ended, or its Job is over before that, and then why."""
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        while process is None or process.returncode is None:
            current = self._cluster.jobs.get(name)
            if current is None or current["metadata"]["uid"] != uid:
                return "deleted"
            if uid in self._evicted:
                return "DisruptionTarget"
            if asyncio.get_running_loop().time() - began > current["spec"]["activeDeadlineSeconds"]:
                return "DeadlineExceeded"
            await asyncio.sleep(TICK)
        return ""

    def _make_pod(self, job: Json) -> Json:
        template = job["spec"]["template"]
        name = f"{job['metadata']['name'][:57]}-{secrets.token_hex(2)}"
        metadata = {"name": name, "labels": template["metadata"]["labels"], "creationTimestamp": now()}
        pod: Json = {"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}}
        self._cluster.pods[name] = pod
        self._show(pod, {"waiting": {"reason": "ContainerCreating"}})
        return pod

    def _show(self, pod: Json, state: Json, phase: str = "Pending") -> None:
        pod["status"] |= {"phase": phase, "containerStatuses": [{"name": "step", "state": state}]}

    def _finish(self, job: Json, kind: str, reason: str, message: str) -> None:
        condition = {"type": kind, "status": "True", "reason": reason, "message": message}
        job["status"]["conditions"] = [condition]
        self._cluster.touch(job)

    def _environment(self, pod: Json) -> dict[str, str]:
        """Return the variables of a container; what it has mounted is a file of this machine."""
        specification = pod["spec"]["containers"][0]
        found = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        for one in specification["env"]:
            reference = one["valueFrom"]["secretKeyRef"]
            found[one["name"]] = self._cluster.value(reference["name"], reference["key"])
        for volume in pod["spec"]["volumes"]:
            if "secret" in volume:
                [item] = volume["secret"]["items"]
                authority = self._directory / f"{pod['metadata']['name']}.pem"
                authority.write_text(self._cluster.value(volume["secret"]["secretName"], item["key"]))
                found = {name: str(authority) if value == CA_PATH else value for name, value in found.items()}
        return found


async def _terminate(process: asyncio.subprocess.Process, grace: float) -> None:
    """End a process as a kubelet does."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), grace)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


@contextlib.asynccontextmanager
async def _ended_with(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """Leave no process behind when the block is left."""
    try:
        yield
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
