"""API server of the stand-in, behind TLS and with a token that changes."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from pagemill.concurrency import cancel_and_wait
from pagemill.containers.kubernetes_access import HOST, PORT, KubernetesAccess, find_access
from pagemill.stack.certificates import Certificates
from tests.support.kubernetes.cluster import Cluster
from tests.support.kubernetes.node import TICK, Node
from tests.support.kubernetes.rules import Refusal, authorize

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
VERSION = "v1.33.4"
MERGE_PATCH = "application/merge-patch+json"
COMMON = "/namespaces/{namespace}"


@dataclass(frozen=True)
class RunningCluster:
    """A cluster that answers. ``directory`` is a service account's, ``environment`` that of the pods."""

    state: Cluster
    node: Node
    directory: Path
    environment: dict[str, str]

    @property
    def access(self) -> KubernetesAccess:
        return find_access(self.environment, self.directory)

    def renew_token(self, token: str) -> None:
        """Have the former token expire."""
        self.state.token = token
        (self.directory / "token").write_text(token)


@asynccontextmanager
async def running_cluster(
    cluster: Cluster, certificates: Certificates, directory: Path
) -> AsyncIterator[RunningCluster]:
    """Run a cluster while the block runs."""
    account, logs = directory / "account", directory / "logs"
    for one in (account, logs):
        one.mkdir()
    node = Node(cluster, logs)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    runner = web.AppRunner(_application(cluster, node), shutdown_timeout=0.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    [(_, port, *_)] = runner.addresses
    (account / "ca.crt").write_text(certificates.authority.read_text())
    running = RunningCluster(cluster, node, account, {HOST: "localhost", PORT: str(port)})
    running.renew_token(cluster.token)
    working = asyncio.create_task(node.work())
    try:
        yield running
    finally:
        await cancel_and_wait([working])
        await runner.cleanup()


def _application(cluster: Cluster, node: Node) -> web.Application:
    server = ApiServer(cluster, node)
    application = web.Application(middlewares=[server.guard])
    batch, core = f"/apis/batch/v1{COMMON}", f"/api/v1{COMMON}"
    application.add_routes(
        [
            web.get("/version", server.version),
            web.get(f"{batch}/jobs", server.list_jobs, name="list:batch:jobs"),
            web.post(f"{batch}/jobs", server.create_job, name="create:batch:jobs"),
            web.get(f"{batch}/jobs/{{name}}", server.get_job, name="get:batch:jobs"),
            web.patch(f"{batch}/jobs/{{name}}", server.patch_job, name="patch:batch:jobs"),
            web.delete(f"{batch}/jobs/{{name}}", server.delete_job, name="delete:batch:jobs"),
            web.get(f"{core}/pods", server.list_pods, name="list:core:pods"),
            web.get(f"{core}/pods/{{name}}/log", server.log, name="get:core:pods.log"),
            web.post(f"{core}/secrets", server.create_secret, name="create:core:secrets"),
        ]
    )
    return application


class ApiServer:
    """Handlers of requests."""

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self._cluster, self._node = cluster, node

    @property
    def guard(self) -> Any:
        """Middleware that answers refusals, of those without a token or rights before all others."""

        @web.middleware
        async def judge(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                self._admit(request)
                return await handler(request)
            except Refusal as refusal:
                return web.json_response(refusal.status(), status=refusal.code)

        return judge

    def _admit(self, request: web.Request) -> None:
        if self._cluster.away:
            raise Refusal(self._cluster.away, "Unavailable", "the cluster is away")
        if request.headers.get("Authorization") != f"Bearer {self._cluster.token}":
            raise Refusal(401, "Unauthorized", "Unauthorized")
        name = request.match_info.route.name
        if name is None:
            return
        if request.match_info["namespace"] != self._cluster.namespace:
            raise Refusal(403, "Forbidden", "not in this namespace")
        verb, group, resource = name.split(":")
        authorize(verb, group.replace("core", ""), resource.replace(".", "/"))

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response({"major": "1", "minor": "33", "gitVersion": VERSION})

    async def list_jobs(self, request: web.Request) -> web.Response:
        """List Jobs, in pages of two at most: nobody may take the first page for all."""
        found = _selected(self._cluster.jobs.values(), request.query.get("labelSelector", ""))
        start = int(request.query.get("continue", "0"))
        end = start + min(2, int(request.query.get("limit", "500")))
        metadata = {"continue": str(end)} if end < len(found) else {}
        return web.json_response({"kind": "JobList", "metadata": metadata, "items": found[start:end]})

    async def create_job(self, request: web.Request) -> web.Response:
        return web.json_response(self._cluster.create_job(await request.json()), status=201)

    async def get_job(self, request: web.Request) -> web.Response:
        return web.json_response(self._cluster.job(request.match_info["name"]))

    async def patch_job(self, request: web.Request) -> web.Response:
        if request.content_type != MERGE_PATCH:
            raise Refusal(415, "UnsupportedMediaType", request.content_type)
        return web.json_response(
            self._cluster.patch_job(request.match_info["name"], json.loads(await request.read()))
        )

    async def delete_job(self, request: web.Request) -> web.Response:
        options = await request.json()
        if (options.get("apiVersion"), options.get("kind")) != ("v1", "DeleteOptions"):
            raise Refusal(400, "BadRequest", "no DeleteOptions")
        return web.json_response(self._cluster.delete_job(request.match_info["name"], options))

    async def create_secret(self, request: web.Request) -> web.Response:
        return web.json_response(self._cluster.create_secret(await request.json()), status=201)

    async def list_pods(self, request: web.Request) -> web.Response:
        found = _selected(self._cluster.pods.values(), request.query.get("labelSelector", ""))
        return web.json_response({"kind": "PodList", "metadata": {}, "items": found})

    async def log(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in self._cluster.pods:
            raise Refusal(404, "NotFound", f'pods "{name}" not found')
        if self._state(name).keys() & {"running", "terminated"} == set():
            raise Refusal(400, "BadRequest", "container is waiting to start: ContainerCreating")
        content = self._node.log_of(name)
        if "tailLines" in request.query:
            lines = content.read_bytes().splitlines(keepends=True)
            return web.Response(body=b"".join(lines[-int(request.query["tailLines"]) :]))
        response = web.StreamResponse()
        await response.prepare(request)
        with content.open("rb") as log:
            while True:
                ended = name in self._node.ended
                try:
                    while data := log.read(65536):
                        await response.write(data)
                except ConnectionError:
                    # Nobody listens any more.
                    return response
                if ended:
                    return response
                await asyncio.sleep(TICK)

    def _state(self, pod_name: str) -> Json:
        pod = self._cluster.pods.get(pod_name)
        state: Json = {} if pod is None else pod["status"]["containerStatuses"][0]["state"]
        return state


def _selected(objects: Any, selector: str) -> list[Json]:
    """Return the objects with all labels of a selector like ``a=b,c=d``."""
    wanted = dict(one.split("=", 1) for one in selector.split(",") if one)
    return [one for one in objects if wanted.items() <= (one["metadata"].get("labels") or {}).items()]
