"""Status of a stack: every part is asked itself, whatever the supervisor believes."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from db.dispatchers import DispatcherRow, list_dispatchers
from db.job_reports import UnusableModelRow, list_queue_depths
from db.pool import CONNECTION_ERRORS, connect
from pagemill.containers.engines import open_engine
from pagemill.errors import PagemillError
from pagemill.objects import ObjectMissing, open_objects
from pagemill.sandbox.probe import confinement_here
from pagemill.settings import Settings, load_settings
from pagemill.stack.directory import DataDirectory
from pagemill.stack.probes import api_answers, dashboard_json, smtp_answers, url_answers
from pagemill.stack.state_file import StackState
from pagemill.stack.troubles import application_troubles, scheduling_troubles, unusable_models
from pagemill.work.roles import dispatched_roles

APPLICATIONS = "/api/serve/applications/"
PROBE_SECONDS = 10.0
MAIL = "mail"
CONTAINERS = "containers"
RAY_PARTS = ("ray", "apps", "dispatcher")
OPTIONAL_PARTS = (MAIL, CONTAINERS, *RAY_PARTS)

NO_ANSWER: tuple[type[BaseException], ...] = (PagemillError, ValueError, LookupError, *CONNECTION_ERRORS)

PartStatus = Literal["up", "down", "off"]


class PartReport(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """One part; ``off`` means that this stack was asked not to run it."""

    status: PartStatus
    detail: str = ""
    process_id: int | None = None
    restarts: int = 0


class QueueReport(msgspec.Struct, kw_only=True, rename="camel"):
    """Numbers of jobs that wait and run."""

    queued: int = 0
    running: int = 0


class RayReport(msgspec.Struct, kw_only=True, rename="camel"):
    """Addresses of Ray."""

    address: str | None = None
    dashboard_url: str | None = None


class SandboxReport(msgspec.Struct, kw_only=True, rename="camel"):
    """Means that confine the children that parse documents on this machine, and those that it lacks."""

    detail: str
    means: list[str] = []
    missing: list[str] = []


class MetricsReport(msgspec.Struct, kw_only=True, rename="camel"):
    """Address at which Prometheus finds the metrics of a part."""

    of: str
    url: str
    status: PartStatus


class StackReport(msgspec.Struct, kw_only=True, rename="camel"):
    """The whole stack."""

    running: bool
    healthy: bool
    url: str | None
    parts: dict[str, PartReport]
    queue: QueueReport | None
    ray: RayReport
    sandbox: SandboxReport | None = None
    metrics: list[MetricsReport] = []
    dispatchers: list[DispatcherRow] = []
    unusable_models: list[UnusableModelRow] = []


async def examine(directory: DataDirectory) -> StackReport:
    """Ask every part. A part that is down raises nothing."""
    supervisor = directory.supervisor()
    state = directory.read(directory.state, StackState)
    if supervisor is None or state is None or not state.settings:
        return _nothing_runs(state if supervisor is not None else None)
    used = load_settings(state.settings)
    queue: list[QueueReport] = []
    dispatchers: list[DispatcherRow] = []
    models: list[UnusableModelRow] = []
    probes: dict[str, Callable[[], Awaitable[str]]] = {
        "postgres": lambda: _postgres(used, queue, models),
        "objects": lambda: _objects(used),
        "api": lambda: _api(state, directory),
    }
    if MAIL in state.parts:
        probes[MAIL] = lambda: _mail(used)
    if used.container_engine_url:
        probes[CONTAINERS] = lambda: _containers(used)
    if "apps" in state.parts:
        probes |= {
            "ray": lambda: _ray(state, directory),
            "apps": lambda: _apps(state, directory, used),
            "dispatcher": lambda: dispatchers_at_work(used, dispatchers),
        }
    reports = await asyncio.gather(*(_report(name, probe, state) for name, probe in probes.items()))
    parts = dict(zip(probes, reports, strict=True))
    parts |= {name: PartReport(status="off") for name in OPTIONAL_PARTS if name not in parts}
    return StackReport(
        running=True,
        healthy=all(part.status != "down" for part in parts.values()),
        url=state.url,
        parts=parts,
        queue=queue[0] if queue else None,
        ray=RayReport(address=state.ray_address, dashboard_url=state.dashboard_url),
        sandbox=await asyncio.to_thread(_sandbox),
        metrics=await asyncio.to_thread(_metrics, state),
        dispatchers=dispatchers,
        unusable_models=models,
    )


def _nothing_runs(state: StackState | None) -> StackReport:
    names = ("postgres", "objects", "api", *RAY_PARTS)
    return StackReport(
        running=state is not None,
        healthy=False,
        url=state.url if state else None,
        parts={name: PartReport(status="down", detail="starting" if state else "") for name in names},
        queue=None,
        ray=RayReport(),
    )


class Down(PagemillError):
    """A part answers, but not as it should."""


async def _report(name: str, probe: Callable[[], Awaitable[str]], state: StackState) -> PartReport:
    known = state.parts.get(name)
    process_id = known.process_id if known else None
    restarts = known.restarts if known else 0
    try:
        detail = await asyncio.wait_for(probe(), PROBE_SECONDS)
        status: PartStatus = "up"
    except NO_ANSWER as error:
        reason = known.reason if known and known.phase != "up" else None
        detail, status = reason or str(error) or type(error).__name__, "down"
    return PartReport(status=status, detail=detail, process_id=process_id, restarts=restarts)


async def _postgres(settings: Settings, queue: list[QueueReport], models: list[UnusableModelRow]) -> str:
    connection = await connect(settings.database_url, application_name="pagemill-status")
    try:
        found = await list_queue_depths(connection)
        models += await unusable_models(connection)
        version = connection.get_server_version()
    finally:
        await connection.close()
    jobs = Counter[str]()
    for row in found:
        jobs[row.state] += row.jobs
    queue.append(QueueReport(queued=jobs["queued"], running=jobs["running"]))
    # asyncpg counts the minor releases of Postgres as it was before its version 10: as the third number.
    return f"Postgres {version.major}.{version.micro}"


async def _objects(settings: Settings) -> str:
    store = open_objects(settings)
    try:
        await store.size(f"status/{uuid.uuid4().hex}")
    except ObjectMissing:
        pass
    finally:
        await store.close()
    return settings.objects_url


async def _api(state: StackState, directory: DataDirectory) -> str:
    began = time.monotonic()
    if not await asyncio.to_thread(api_answers, state.port, directory.ca_certificate):
        raise Down("no answer")
    return f"{state.url}, answered in {(time.monotonic() - began) * 1000:.0f} ms"


async def _mail(settings: Settings) -> str:
    host, port = settings.mail_intake_host, settings.mail_intake_port
    if not await asyncio.to_thread(smtp_answers, host, port):
        raise Down("no answer")
    return f"{settings.mail_domain} on {host}, port {port}"


async def _containers(settings: Settings) -> str:
    engine = open_engine(settings)
    assert engine is not None, "it is asked where one is configured"
    try:
        return f"{await engine.describe()}, {settings.container_engine_url}"
    finally:
        await engine.close()


def _sandbox() -> SandboxReport:
    try:
        found = confinement_here()
    except OSError as error:
        return SandboxReport(detail=f"no child can be confined: {error}")
    return SandboxReport(detail=found.in_words(), means=sorted(found.means), missing=sorted(found.missing))


def _metrics(state: StackState) -> list[MetricsReport]:
    addresses = {"the API and the queue": state.metrics_url, "all that runs on Ray": state.ray_metrics_url}
    return [
        MetricsReport(of=part, url=url, status="up" if url_answers(url) else "down")
        for part, url in addresses.items()
        if url is not None
    ]


async def _ray(state: StackState, directory: DataDirectory) -> str:
    if state.dashboard_url is None:
        return f"{state.ray_address}, not supervised by this stack"
    version = await asyncio.to_thread(
        dashboard_json, state.dashboard_url, "/api/version", directory.ray_token
    )
    return f"Ray {version['ray_version']}, dashboard {state.dashboard_url}"


async def _apps(state: StackState, directory: DataDirectory, settings: Settings) -> str:
    if state.dashboard_url is None:
        return _as_supervised(state, "apps")
    found = await asyncio.to_thread(dashboard_json, state.dashboard_url, APPLICATIONS, directory.ray_token)
    applications = {name: str(item["status"]).lower() for name, item in found["applications"].items()}
    text = ", ".join(f"{name} {status}" for name, status in sorted(applications.items()))
    troubles = application_troubles(found["applications"])
    if not applications or set(applications.values()) != {"running"}:
        raise Down("; ".join((text or "not deployed yet", *troubles)))
    recognised = f"pages are recognised on {await asyncio.to_thread(_recognition_device, settings)}"
    return "; ".join(filter(None, (text, recognised, *await scheduling_troubles(settings), *troubles)))


def _recognition_device(settings: Settings) -> str:
    """Return the device that replicas choose: a stack's Ray runs on this machine, from this installation."""
    from pagemill.extraction.recognition.device import find_device

    return str(find_device(settings.reading_threads))


async def dispatchers_at_work(settings: Settings, reports: list[DispatcherRow]) -> str:
    """Return how many dispatchers claim jobs, by role, and add all of them to ``reports``.

    Raises Down when a role has none.
    """
    connection = await connect(settings.database_url, application_name="pagemill-status")
    try:
        rows = await list_dispatchers(connection)
    finally:
        await connection.close()
    reports += rows
    claiming = Counter(row.role for row in rows if row.listening and not row.draining)
    roles = dispatched_roles(settings)
    missing = [role for role in roles if not claiming[role]]
    if missing:
        raise Down(f"none announces itself and listens for these jobs: {', '.join(missing)}")
    draining = sum(row.draining for row in rows)
    text = ", ".join(f"{claiming[role]} {role}" for role in roles)
    return f"{text}; {draining} draining" if draining else text


def _as_supervised(state: StackState, part: str) -> str:
    """Return the last result of the deployment, for a Ray without a dashboard of ours."""
    known = state.parts[part]
    if known.phase != "up":
        raise Down(known.reason or known.phase)
    return "deployed"
