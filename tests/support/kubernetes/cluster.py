"""State of the stand-in: its objects, its images, and what befalls it."""

from __future__ import annotations

import base64
import copy
import datetime
import itertools
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.support.kubernetes.rules import Refusal, judge_change, judge_job, judge_secret

Json = dict[str, Any]
OWNER_LABELS = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Cluster:
    """A cluster with one namespace. ``images`` are those that its registries have, with their credentials.

    ``away`` has every request refused with that status.
    """

    namespace: str
    token: str = "first token"
    images: dict[str, tuple[str, str] | None] = field(default_factory=dict)
    away: int = 0
    jobs: dict[str, Json] = field(default_factory=dict)
    pods: dict[str, Json] = field(default_factory=dict)
    secrets: dict[str, Json] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    """Names of the Jobs whose containers were started, once for each start."""
    _versions: Any = field(default_factory=lambda: itertools.count(1))

    def touch(self, stored: Json) -> None:
        """Count a change of an object."""
        stored["metadata"]["resourceVersion"] = str(next(self._versions))

    def _stored(self, body: Json) -> Json:
        stored = copy.deepcopy(body)
        stored["metadata"] |= {
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now(),
            "namespace": self.namespace,
        }
        self.touch(stored)
        return stored

    def create_job(self, body: Json) -> Json:
        judge_job(body)
        name = body["metadata"]["name"]
        if name in self.jobs:
            raise Refusal(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
        job = self.jobs[name] = self._stored(body)
        job["status"] = {}
        labels = dict(zip(OWNER_LABELS, (job["metadata"]["uid"], name), strict=True))
        job["spec"]["template"]["metadata"]["labels"] |= labels
        return job

    def create_secret(self, body: Json) -> Json:
        judge_secret(body)
        name = body["metadata"]["name"]
        if name in self.secrets:
            raise Refusal(409, "AlreadyExists", f'secrets "{name}" already exists')
        self.secrets[name] = self._stored(body)
        return self.secrets[name]

    def job(self, name: str) -> Json:
        if name not in self.jobs:
            raise Refusal(404, "NotFound", f'jobs.batch "{name}" not found')
        return self.jobs[name]

    def patch_job(self, name: str, patch: Json) -> Json:
        job = self.job(name)
        after = copy.deepcopy(job)
        _merge(after, patch)
        judge_change(job, after)
        job |= after
        self.touch(job)
        return job

    def delete_job(self, name: str, options: Json) -> Json:
        """Remove a Job as with propagation in the background, and what it owns."""
        job = self.job(name)
        if options.get("propagationPolicy") != "Background":
            raise Refusal(400, "BadRequest", "its pods would stay")
        for key, value in options.get("preconditions", {}).items():
            if job["metadata"][key] != value:
                raise Refusal(409, "Conflict", f"Precondition failed: {key} in precondition: {value}")
        del self.jobs[name]
        self.collect_garbage()
        return job

    def collect_garbage(self) -> None:
        """Remove what has no owner any more; the node ends pods that run."""
        owners = {job["metadata"]["uid"] for job in self.jobs.values()}
        for name, pod in list(self.pods.items()):
            running = pod["status"]["phase"] in ("Pending", "Running")
            if not running and pod["metadata"]["labels"][OWNER_LABELS[0]] not in owners:
                del self.pods[name]
        for name, secret in list(self.secrets.items()):
            if {one["uid"] for one in secret["metadata"]["ownerReferences"]}.isdisjoint(owners):
                del self.secrets[name]

    def value(self, secret: str, key: str) -> str:
        """Return a value of a Secret. Raises KeyError."""
        return base64.b64decode(self.secrets[secret]["data"][key]).decode()

    def image_fault(self, pod: Json) -> str:
        """Return why the image of a pod cannot be pulled, empty when it can."""
        image = pod["spec"]["containers"][0]["image"]
        if image not in self.images:
            return f'failed to resolve reference "{image}": not found'
        login = self.images[image]
        if login is None:
            return ""
        for one in pod["spec"].get("imagePullSecrets", []):
            found = json.loads(self.value(one["name"], ".dockerconfigjson"))["auths"]
            entry = found.get(image.partition("/")[0], {})
            if (entry.get("username"), entry.get("password")) == login:
                return ""
        return f'failed to authorize "{image}": 401 Unauthorized'


def _merge(target: Json, patch: Json) -> None:
    """Apply a merge patch (RFC 7386)."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value
