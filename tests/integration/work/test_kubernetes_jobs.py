"""Steps run as Jobs of Kubernetes: of a stand-in for a cluster, which judges all that it is asked for."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from db.pool import Pool
from pagemill.containers.engine import ContainerRefused, ContainerSpec, EngineUnavailable, NameTaken
from pagemill.containers.kubernetes_engine import KubernetesEngine
from pagemill.ids import SubjectId
from pagemill.jobs.queue import request_cancel
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings, to_environment
from pagemill.stack.certificates import Certificates
from pagemill.stack.postgres import free_port
from pagemill.work.container_sweep import sweep_containers
from pagemill.work.container_tasks import container_name
from pagemill.work.containers import CONTAINER, ContainerResources
from tests.support.container_steps import (
    SECONDS,
    add_secret,
    begin,
    dispatching,
    engine_of,
    job_of,
    log_of,
    printed,
    run,
    step_of,
)
from tests.support.kubernetes.api_server import RunningCluster, running_cluster
from tests.support.kubernetes.cluster import Cluster
from tests.support.step_api import made_certificates, serving_api
from tests.support.step_dispatcher import SERVICE_ACCOUNT, container_resources
from tests.support.step_engine import IMAGE
from tests.support.tenants import Tenant
from tests.support.working import until, until_ended

NAMESPACE = "steps"
PRIVATE = "registry.example.com/private/step:1"
LOGIN = ("somebody", "a password")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return made_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def cluster(certificates: Certificates, tmp_path: Path) -> AsyncIterator[RunningCluster]:
    state = Cluster(NAMESPACE, images={IMAGE: None, PRIVATE: LOGIN})
    async with running_cluster(state, certificates, tmp_path) as running:
        yield running


@pytest.fixture
def settings(database_url: str, objects_directory: Path, certificates: Certificates) -> Settings:
    url = f"https://localhost:{free_port()}"
    return Settings(
        database_url=database_url,
        objects_url=objects_directory.as_uri(),
        token_key="k" * 32,
        secret_keys=new_secret_key("test"),
        public_url=url,
        # What stands for containers are processes of this machine.
        container_api_url=url,
        container_engine_url=f"kubernetes://{NAMESPACE}",
        container_ca_file=str(certificates.authority),
        container_grace=3.0,
    )


@pytest.fixture
async def resources(
    settings: Settings, pool: asyncpg.Pool, cluster: RunningCluster
) -> AsyncIterator[ContainerResources]:
    opened = container_resources(settings, pool, KubernetesEngine(settings, cluster.access))
    yield opened
    await engine_of(opened).close()
    await opened.objects.close()


def nothing_is_left(cluster: RunningCluster) -> bool:
    return not cluster.state.jobs and not cluster.state.secrets


async def test_a_container_that_reports_nothing_has_failed(
    pool: Pool, organization: Tenant, resources: ContainerResources, cluster: RunningCluster
) -> None:
    program = "import sys; print('first'); print('último', file=sys.stderr); sys.exit(3)"
    step = await run(pool, resources, await begin(pool, organization, program))

    assert step["status"] == "failed"
    assert step["error"]["message"] == (
        "The container has ended with exit status 3 and has reported no result. "
        "Its last lines:\nfirst\núltimo"
    )
    log = await log_of(pool, step["id"])
    assert log[2:4] == ["first", "último"]
    assert nothing_is_left(cluster)


async def test_the_official_client_reports_over_tls(
    pool: Pool,
    organization: Tenant,
    resources: ContainerResources,
    settings: Settings,
    certificates: Certificates,
) -> None:
    program = """
import las

@las.transition_handler
def handler(client, event):
    return {'number': event['number'] + 1}

handler()
"""
    execution_id = await begin(pool, organization, program)
    async with serving_api(settings, int(settings.public_url.rpartition(":")[2]), certificates):
        step = await run(pool, resources, execution_id)

    assert step["status"] == "succeeded", step["error"]
    assert step["output"] == {"number": 8}
    assert step["completed_by"] == execution_id


async def test_what_is_wrong_with_an_image_is_named(
    pool: Pool, organization: Tenant, resources: ContainerResources, cluster: RunningCluster
) -> None:
    secrets = [
        await add_secret(pool, organization, resources, {"username": LOGIN[0], "password": password})
        for password in ("wrong", LOGIN[1])
    ]
    missing = await begin(pool, organization, image="example.com/nobody:1")
    open_to_nobody = await begin(pool, organization, image=PRIVATE)
    refused = await begin(pool, organization, image=PRIVATE, secretId=secrets[0])
    admitted = await begin(pool, organization, "print('pulled')", image=PRIVATE, secretId=secrets[1])

    for execution_id, image in (
        (missing, "example.com/nobody:1"),
        (open_to_nobody, PRIVATE),
        (refused, PRIVATE),
    ):
        error = (await run(pool, resources, execution_id))["error"]
        assert error["message"].startswith(f"Image {image} cannot be pulled: failed to ")
    assert "exit status 0" in (await run(pool, resources, admitted))["error"]["message"]
    assert "pulled" in await log_of(pool, admitted)
    assert nothing_is_left(cluster)


async def test_what_kubernetes_does_not_admit_is_named(
    pool: Pool, organization: Tenant, resources: ContainerResources, cluster: RunningCluster
) -> None:
    execution_id = await begin(pool, organization, environment={"NO NAME": "of a variable"})
    step = await run(pool, resources, execution_id)

    assert step["error"]["message"].startswith("The container cannot be created: env[].name: Invalid value")
    assert nothing_is_left(cluster)


IGNORES = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print('asked to end', flush=True))
print('ready', flush=True)
while True:
    time.sleep(1)
"""


async def test_a_cancelled_container_is_asked_to_end_and_then_killed(
    pool: Pool, organization: Tenant, resources: ContainerResources, cluster: RunningCluster
) -> None:
    execution_id = await begin(pool, organization, IGNORES)
    job_id = await job_of(pool, execution_id)
    async with dispatching(resources):
        await printed(pool, execution_id, "ready")
        async with pool.acquire() as connection:
            await request_cancel(
                connection,
                CONTAINER,
                organization_id=organization.organization_id,
                subject_id=execution_id,
            )
        assert await until_ended(pool, job_id, seconds=SECONDS) == ["cancelled"]

    assert (await step_of(pool, execution_id))["status"] == "failed"
    assert "asked to end" in await log_of(pool, execution_id)
    assert nothing_is_left(cluster)


async def test_a_container_is_stopped_when_its_time_is_over(
    pool: Pool, organization: Tenant, resources: ContainerResources, cluster: RunningCluster
) -> None:
    execution_id = await begin(pool, organization, IGNORES)
    await pool.execute(
        "UPDATE transition_execution SET expires = now() + interval '4 seconds' WHERE id = $1", execution_id
    )
    await run(pool, resources, execution_id)

    assert cluster.state.started == [container_name(SubjectId(execution_id))]
    assert nothing_is_left(cluster)


async def test_a_container_that_its_node_loses_is_told_apart(
    pool: Pool, organization: Tenant, resources: ContainerResources, cluster: RunningCluster
) -> None:
    execution_id = await begin(pool, organization, IGNORES)
    async with dispatching(resources):
        await printed(pool, execution_id, "ready")
        cluster.node.evict(container_name(SubjectId(execution_id)))
        await until_ended(pool, await job_of(pool, execution_id), seconds=SECONDS)

    step = await step_of(pool, execution_id)
    assert step["error"]["message"].startswith("The container was ended from outside: ")
    assert step["error"]["error"] == "Pagemill.TaskLost"


COUNTS = """
import time
for number in range(1, 16):
    print('line', number, flush=True)
    time.sleep(0.2)
raise SystemExit(5)
"""


async def test_a_killed_dispatcher_is_succeeded_by_one_that_follows_the_same_container(
    pool: Pool,
    organization: Tenant,
    resources: ContainerResources,
    settings: Settings,
    cluster: RunningCluster,
) -> None:
    execution_id = await begin(pool, organization, COUNTS)
    of_pod = {**cluster.environment, SERVICE_ACCOUNT: str(cluster.directory)}
    victim = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.step_dispatcher"),
        env={**os.environ, **to_environment(settings), **of_pod},
    )
    await printed(pool, execution_id, "line 3")
    victim.send_signal(signal.SIGKILL)
    await victim.wait()
    step = await run(pool, resources, execution_id)

    assert "exit status 5" in step["error"]["message"]
    lines = [line for line in await log_of(pool, execution_id) if line.startswith("line")]
    assert lines == [f"line {number}" for number in range(1, 16)]
    assert cluster.state.started == [container_name(SubjectId(execution_id))]
    assert nothing_is_left(cluster)


SPEC = ContainerSpec(
    image=IMAGE, environment={"PROGRAM": "print('made')"}, labels={}, cpu=256, memory=512, seconds=60.0
)


async def test_a_job_that_was_never_started_is_made_anew(
    pool: Pool, organization: Tenant, resources: ContainerResources, cluster: RunningCluster
) -> None:
    execution_id = await begin(pool, organization, "print('mine')")
    name = container_name(SubjectId(execution_id))
    stale = await engine_of(resources).create(name, SPEC)
    await run(pool, resources, execution_id)

    assert "mine" in await log_of(pool, execution_id)
    assert cluster.state.started == [name]
    with pytest.raises(ContainerRefused):
        await engine_of(resources).start(stale)


async def test_of_two_who_make_it_one_starts_it(
    resources: ContainerResources, cluster: RunningCluster
) -> None:
    engine = engine_of(resources)
    first = await engine.create("step", SPEC)
    with pytest.raises(NameTaken):
        await engine.create("step", SPEC)
    await engine.remove("step")
    second = await engine.create("step", SPEC)

    assert first != second
    assert await engine.find(first) is None
    with pytest.raises(ContainerRefused):
        await engine.start(first)
    await engine.start(second)
    await engine.start(second)
    assert b"".join([piece.data async for piece in engine.output(second)]) == b"made\n"
    assert [piece.data for piece in await engine.last_output(second, 1)] == [b"made\n"]
    state = await engine.find("step")
    assert state is not None
    assert (state.phase, state.exit_code) == ("ended", 0)
    await engine.wait(second)
    assert cluster.state.started == ["step"]
    assert [piece async for piece in engine.output(first)] == []
    await engine.stop(first, 1.0)


async def test_one_that_runs_is_not_removed_by_the_way(resources: ContainerResources) -> None:
    engine = engine_of(resources)
    started = await engine.create("step", SPEC)
    await engine.start(started)
    await engine.remove("step")
    assert await engine.find(started) is not None
    await engine.remove("step", running=True)
    assert await engine.find(started) is None


async def test_what_nobody_follows_any_more_is_swept_and_nothing_else(
    pool: Pool, organization: Tenant, resources: ContainerResources, cluster: RunningCluster
) -> None:
    engine = engine_of(resources)
    waiting = await begin(pool, organization)

    async def make(name: str, organization_id: str, subject_id: str) -> None:
        labels = {"io.pagemill.subject": subject_id, "io.pagemill.organization": organization_id}
        spec = ContainerSpec(image=IMAGE, environment={}, labels=labels, cpu=256, memory=512)
        await engine.create(name, spec)

    await make("waiting", organization.organization_id, waiting)
    await make("gone", organization.organization_id, "las:transition-execution:gone")
    await make("theirs", "las:organization:elsewhere", "las:transition-execution:theirs")

    assert await sweep_containers(pool, engine) == ["las:transition-execution:gone"]
    assert set(cluster.state.jobs) == {"waiting", "theirs"}


@pytest.mark.parametrize("status", [403, 429, 503])
async def test_a_step_waits_for_a_cluster_that_does_not_take_it(
    pool: Pool, organization: Tenant, resources: ContainerResources, cluster: RunningCluster, status: int
) -> None:
    execution_id = await begin(pool, organization, "print('at last')")
    job_id = await job_of(pool, execution_id)

    async def tried() -> bool:
        return bool(await pool.fetchval("SELECT error_class = 'Unavailable' FROM job WHERE id = $1", job_id))

    cluster.state.away = status
    async with dispatching(resources):
        await until(tried)
    assert (await step_of(pool, execution_id))["status"] == "running"
    cluster.state.away = 0
    await pool.execute("UPDATE job SET run_after = now() WHERE id = $1", job_id)
    await run(pool, resources, execution_id)
    assert "at last" in await log_of(pool, execution_id)


async def test_a_token_is_read_anew(resources: ContainerResources, cluster: RunningCluster) -> None:
    assert await engine_of(resources).describe() == f"Kubernetes 1.33.4, namespace {NAMESPACE}"
    cluster.renew_token("second token")
    assert await engine_of(resources).describe() == f"Kubernetes 1.33.4, namespace {NAMESPACE}"
    (cluster.directory / "token").write_text("forged")
    with pytest.raises(EngineUnavailable, match="Unauthorized"):
        await engine_of(resources).describe()
