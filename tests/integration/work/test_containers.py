"""Steps really run: in containers of an engine, with all that containers do wrong.

Skipped where no engine can be run; ``.ci/run`` installs one from Debian. It is Docker instead of Podman where
``PAGEMILL_TEST_ENGINE`` says docker.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from db.workflows import keep_workflow
from pagemill.containers.engine import ContainerSpec
from pagemill.containers.output import MOST_LINES
from pagemill.ids import (
    OrganizationId,
    SubjectId,
    WorkflowId,
)
from pagemill.jobs.queue import request_cancel
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings, to_environment
from pagemill.stack.certificates import Certificates
from pagemill.work.container_sweep import sweep_containers
from pagemill.work.container_tasks import container_name
from pagemill.work.containers import CONTAINER, ContainerResources
from pagemill.workflows.workflow_executions import Start, start_execution
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
from tests.support.docker_daemon import AnyEngine, docker_daemon, missing_docker
from tests.support.step_api import made_certificates, serving_api
from tests.support.step_dispatcher import container_resources
from tests.support.step_engine import IMAGE, NETWORK, ULIMITS, missing_engine, step_engine
from tests.support.tenants import Tenant
from tests.support.workflow_seeds import seed_transition, seed_workflow
from tests.support.working import until, until_ended


@pytest.fixture(scope="module")
def engine() -> Iterator[AnyEngine]:
    with_docker = os.environ.get("PAGEMILL_TEST_ENGINE") == "docker"
    if reason := missing_docker() if with_docker else missing_engine():
        pytest.skip(reason)
    with docker_daemon() if with_docker else step_engine() as running:
        yield running


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return made_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def settings(
    database_url: str, objects_directory: Path, engine: AnyEngine, certificates: Certificates
) -> Iterator[Settings]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    yield Settings(
        database_url=database_url,
        objects_url=objects_directory.as_uri(),
        token_key="k" * 32,
        secret_keys=new_secret_key("test"),
        public_url=f"https://localhost:{port}",
        container_engine_url=engine.url,
        container_network=NETWORK,
        container_ulimits=ULIMITS,
        container_ca_file=str(certificates.authority),
        container_grace=1.0,
        container_processes=32,
        container_temporary=8,
        step_images=f"example.com/official={IMAGE}",
    )
    engine.clear()


@pytest.fixture
async def resources(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[ContainerResources]:
    opened = container_resources(settings, pool)
    yield opened
    await engine_of(opened).close()
    await opened.objects.close()


async def test_the_operators_image_runs_in_place_of_another(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources
) -> None:
    execution_id = await begin(pool, organization, "print('ours')", image="example.com/official:v2.3.0")
    await run(pool, resources, execution_id)

    assert "ours" in await log_of(pool, execution_id)


async def test_a_container_that_reports_nothing_has_failed(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources, engine: AnyEngine
) -> None:
    program = "import sys; print('first'); print('último', file=sys.stderr); sys.exit(3)"
    step = await run(pool, resources, await begin(pool, organization, program))

    assert step["status"] == "failed"
    assert "exit status 3" in step["error"]["message"]
    assert "first" in step["error"]["message"]
    assert "último" in step["error"]["message"]
    log = await log_of(pool, step["id"])
    assert log[1] == f"Starts a container of {IMAGE}"
    assert sorted(log[2:4]) == ["first", "último"]
    assert log[4].startswith("Ended: failed")
    assert engine.containers() == []
    assert await pool.fetchval("SELECT count(*) FROM container_credential") == 0


async def test_it_is_confined(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources
) -> None:
    program = """
import os, socket
for line in open('/proc/self/status'):
    if line.startswith(('CapEff', 'NoNewPrivs')): print(*line.split())
def attempt(name, action):
    try: action(); print(name, 'allowed')
    except Exception as error: print(name, type(error).__name__)
attempt('root', lambda: open('/written', 'w'))
attempt('ca', lambda: open('/etc/pagemill/ca.pem', 'a'))
attempt('tmp', lambda: open('/tmp/written', 'w').write('x'))
attempt('bomb', lambda: open('/tmp/large', 'wb').write(bytes(9 << 20)))
attempt('device', lambda: os.mknod('/tmp/device', 0o60600, os.makedev(254, 0)))
attempt('outside', lambda: socket.create_connection(('1.1.1.1', 53), 2))
print('memory', open('/sys/fs/cgroup/memory/memory.limit_in_bytes').read().strip()
      if os.path.exists('/sys/fs/cgroup/memory/memory.limit_in_bytes')
      else open('/sys/fs/cgroup/memory.max').read().strip())
"""
    step = await run(pool, resources, await begin(pool, organization, program, memory=512))
    log = await log_of(pool, step["id"])

    assert {"CapEff: 0000000000000000", "NoNewPrivs: 1", "tmp allowed", f"memory {512 << 20}"} <= set(log)
    assert {"root OSError", "ca OSError", "bomb OSError", "device PermissionError"} <= set(log)
    assert "outside OSError" in log or "outside TimeoutError" in log


async def test_the_official_client_reports_with_the_containers_own_credentials(
    pool: asyncpg.Pool,
    organization: Tenant,
    resources: ContainerResources,
    settings: Settings,
    certificates: Certificates,
) -> None:
    other = await begin(pool, organization)
    program = f"""
import las, os, socket, requests
from urllib.parse import urlsplit

def refused(client, method, path, **more):
    token = client.credentials.access_token
    url = os.environ['LAS_API_ENDPOINT'] + path
    return requests.request(method, url, headers={{'Authorization': 'Bearer ' + token}}, **more).status_code

@las.transition_handler
def handler(client, event):
    transition, execution = os.environ['TRANSITION_ID'], os.environ['EXECUTION_ID']
    client.send_heartbeat(transition, execution)
    database = socket.socket(); database.settimeout(2)
    host = urlsplit(os.environ['LAS_API_ENDPOINT']).hostname
    print('worked on', event)
    return {{
        'number': event['number'] + 1,
        'database': database.connect_ex((host, {settings_port(settings)})),
        'refused': [
            refused(client, 'GET', '/transitions/' + transition + '/executions'),
            refused(client, 'POST', '/transitions/' + transition + '/executions', json={{}}),
            refused(client, 'GET', '/transitions/' + transition + '/executions/{other}'),
            refused(client, 'GET', '/transitions/' + transition),
            refused(client, 'GET', '/secrets'),
            refused(client, 'POST', '/documents', json={{}}),
            refused(client, 'GET', '/organizations/me'),
        ],
    }}

handler()
print('after the report')
"""
    execution_id = await begin(pool, organization, program)
    await pool.execute("DELETE FROM job WHERE subject_id = $1", other)
    port = int(settings.public_url.rpartition(":")[2])
    async with serving_api(settings, port, certificates):
        step = await run(pool, resources, execution_id)

    assert step["status"] == "succeeded", step["error"]
    assert step["output"]["number"] == 8
    assert step["output"]["refused"] == [403] * 7
    assert step["output"]["database"] != 0
    assert step["completed_by"] == execution_id
    log = await log_of(pool, execution_id)
    assert "worked on {'number': 7}" in log
    assert "after the report" in log
    assert await pool.fetchval("SELECT count(*) FROM container_credential") == 0


def settings_port(settings: Settings) -> int:
    return int(settings.database_url.rpartition("/")[0].rpartition(":")[2])


async def test_secrets_are_variables_and_replace_credentials(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources
) -> None:
    secret_id = await add_secret(
        pool,
        organization,
        resources,
        {"LAS_CLIENT_ID": "own", "LAS_API_ENDPOINT": "https://localhost/v1", "N": 5},
    )
    program = (
        "import os; print(*(os.environ.get(n) for n in ('LAS_CLIENT_ID', 'LAS_API_ENDPOINT', 'A', 'N')))"
    )
    execution_id = await begin(
        pool, organization, program, environment={"A": "text"}, environmentSecrets=[secret_id]
    )
    await run(pool, resources, execution_id)
    log = await log_of(pool, execution_id)

    port = resources.settings.public_url.rpartition(":")[2]
    assert f"own https://pagemill.localhost:{port}/v1 text None" in log
    assert "Left out of its environment, for it is no text: N" in log


async def test_images_that_cannot_be_pulled_are_named(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources
) -> None:
    secret_id = await add_secret(pool, organization, resources, {"username": "somebody"})
    missing = await begin(pool, organization, image="localhost/nobody:1")
    unreachable = await begin(pool, organization, image="registry.invalid/some/image:1")
    refused = await begin(pool, organization, image="registry.invalid/some/image:1", secretId=secret_id)

    errors = [
        (await run(pool, resources, one))["error"]["message"] for one in (missing, unreachable, refused)
    ]

    assert errors[0] == "The engine has no image localhost/nobody:1"
    assert errors[1].startswith("Image registry.invalid/some/image:1 cannot be pulled")
    assert errors[2] == f"Secret {secret_id} needs username and password for a registry"


async def test_a_container_that_needs_more_memory_is_killed(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources
) -> None:
    step = await run(pool, resources, await begin(pool, organization, "x = bytearray(1 << 30)", memory=512))

    assert step["status"] == "failed"
    assert "512 MiB of memory" in step["error"]["message"]


async def test_a_container_that_forks_without_end_is_bounded(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources
) -> None:
    program = """
import os, time
children = 0
try:
    while children < 1000:
        if os.fork() == 0:
            time.sleep(60); os._exit(0)
        children += 1
except OSError:
    print('bounded', children < 32, flush=True)
os._exit(1)
"""
    step = await run(pool, resources, await begin(pool, organization, program))

    assert step["status"] == "failed"
    assert "bounded True" in await log_of(pool, step["id"])


IGNORES = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print('asked to end', flush=True))
print('ready', flush=True)
while True:
    time.sleep(1)
"""


async def test_a_cancelled_container_is_asked_to_end_and_then_killed(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources, engine: AnyEngine
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
    assert engine.containers() == []


async def test_a_container_is_stopped_when_its_time_is_over(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources, engine: AnyEngine
) -> None:
    execution_id = await begin(pool, organization, IGNORES)
    await pool.execute(
        "UPDATE transition_execution SET expires = now() + interval '3 seconds' WHERE id = $1", execution_id
    )
    await run(pool, resources, execution_id)

    log = await log_of(pool, execution_id)
    assert "ready" in log
    assert "asked to end" in log
    assert engine.containers() == []


COUNTS = """
import time
for number in range(1, 16):
    print('line', number, flush=True)
    time.sleep(0.2)
raise SystemExit(5)
"""


async def test_a_killed_dispatcher_is_succeeded_by_one_that_follows_the_same_container(
    pool: asyncpg.Pool,
    organization: Tenant,
    resources: ContainerResources,
    settings: Settings,
    engine: AnyEngine,
) -> None:
    execution_id = await begin(pool, organization, COUNTS)
    victim = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.step_dispatcher",
        env={**os.environ, **to_environment(settings)},
    )
    await printed(pool, execution_id, "line 3")
    victim.send_signal(signal.SIGKILL)
    await victim.wait()
    step = await run(pool, resources, execution_id)

    assert "exit status 5" in step["error"]["message"]
    lines = [line for line in await log_of(pool, execution_id) if line.startswith("line")]
    assert lines == [f"line {number}" for number in range(1, 16)]
    assert engine.starts_of(container_name(SubjectId(execution_id))) == 1
    assert engine.containers() == []


async def test_a_dispatcher_that_stops_leaves_its_container_to_the_next(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources, engine: AnyEngine
) -> None:
    execution_id = await begin(pool, organization, "import time; print('x', flush=True); time.sleep(2)")
    async with dispatching(resources):
        await printed(pool, execution_id, "x")
    assert engine.containers() == [container_name(SubjectId(execution_id))]

    assert (await run(pool, resources, execution_id))["status"] == "failed"
    assert engine.starts_of(container_name(SubjectId(execution_id))) == 1


async def test_a_container_that_was_never_started_is_made_anew(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources, engine: AnyEngine
) -> None:
    execution_id = await begin(pool, organization, "print('mine')")
    client = engine_of(resources)
    stale = ContainerSpec(
        image=IMAGE, environment={"PROGRAM": "print('stale')"}, labels={}, cpu=256, memory=512
    )
    await client.create(container_name(SubjectId(execution_id)), stale)
    await run(pool, resources, execution_id)

    log = await log_of(pool, execution_id)
    assert "mine" in log
    assert "stale" not in log


async def test_what_nobody_follows_any_more_is_swept_and_nothing_else(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources, engine: AnyEngine
) -> None:
    client = engine_of(resources)

    async def make(organization_id: str, subject_id: str) -> None:
        labels = {"io.pagemill.subject": subject_id, "io.pagemill.organization": organization_id}
        spec = ContainerSpec(
            image=IMAGE, environment={"PROGRAM": IGNORES}, labels=labels, cpu=256, memory=512
        )
        await client.start(await client.create(subject_id.replace(":", "-"), spec))

    waiting = await begin(pool, organization)
    await make(organization.organization_id, waiting)
    await make(organization.organization_id, "las:transition-execution:gone")
    await make(OrganizationId("las:organization:elsewhere"), "las:transition-execution:theirs")

    assert await sweep_containers(pool, client) == ["las:transition-execution:gone"]
    left = {"las-transition-execution-theirs", waiting.replace(":", "-")}
    assert set(engine.containers()) == left


async def test_a_flow_whose_container_fails_has_its_completed_task_run_once(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources, engine: AnyEngine
) -> None:
    program = "import os; print(os.environ['WORKFLOW_ID'], os.environ['EXECUTION_ID']); raise SystemExit(4)"
    completed = {"imageUrl": IMAGE, "environment": {"PROGRAM": program}}
    organization_id = organization.organization_id
    workflow_id = WorkflowId(await seed_workflow(pool, organization_id, completed=completed))
    transition_id = await seed_transition(
        pool, organization_id, {"imageUrl": IMAGE, "environment": {"PROGRAM": "raise SystemExit(3)"}}
    )
    states = {"Only": {"Type": "Task", "Resource": transition_id, "End": True}}
    definition = {"StartAt": "Only", "States": states}
    await pool.execute("UPDATE workflow SET definition = $2 WHERE id = $1", workflow_id, definition)
    async with pool.acquire() as connection, connection.transaction():
        workflow = await keep_workflow(connection, organization_id=organization_id, workflow_id=workflow_id)
        assert workflow is not None
        execution_id = await start_execution(
            connection, organization_id, workflow, Start(workflow_id, {}, None), development_allowance=10
        )

    async def completed_task_ran() -> bool:
        ran = "SELECT count(*) FROM job WHERE kind = 'completed-task' AND state = 'succeeded'"
        return bool(await pool.fetchval(ran))

    async with dispatching(resources):
        await until(completed_task_ran, seconds=SECONDS)

    lines = await pool.fetch(
        """
        SELECT message FROM log_event JOIN workflow_execution ON completed_task_log_id = log_event.log_id
        WHERE workflow_execution.id = $1 ORDER BY log_event.id
        """,
        execution_id,
    )
    assert [line["message"] for line in lines][-2:] == [
        f"{workflow_id} {execution_id}",
        "The container has ended with exit status 4",
    ]
    assert await pool.fetchval("SELECT status FROM workflow_execution") == "failed"
    assert engine.starts_of(container_name(SubjectId(execution_id))) == 1
    assert engine.containers() == []


@pytest.mark.long
async def test_a_gigabyte_of_output_fills_nothing(
    pool: asyncpg.Pool, organization: Tenant, resources: ContainerResources
) -> None:
    program = """
import sys
print('the first line')
line = 'x' * 1023 + '\\n'
for _ in range(1024):
    sys.stdout.write(line * 1024)
print('the last line', flush=True)
"""
    before = psutil.Process().memory_info().rss
    step = await run(pool, resources, await begin(pool, organization, program), seconds=180)
    after = psutil.Process().memory_info().rss

    log = await log_of(pool, step["id"])
    assert log[2] == "the first line"
    # Podman 4 puts the end of a line that it has divided behind the next one when it is asked for the last.
    assert "the last line" in "".join(log[-5:-1])
    assert any("lines are left out" in line for line in log)
    assert len(log) < MOST_LINES + 100
    assert after - before < 100 << 20
    assert "the last line" in step["error"]["message"]
