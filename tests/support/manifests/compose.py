"""Checks of compose.yaml: its schema, its references, and what it promises."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import compose_spec
import yaml

from pagemill import __version__
from pagemill.settings import SettingsError, load_settings
from tests.support.manifests.documents import DEPLOY, Json
from tests.support.manifests.known_names import is_known, refused_by_ray

EXAMPLE = "compose.env.example"
OURS = {"api", "deployer", "mail-intake", "migrate", "node", "ray"}
PUBLISHED = {"api", "mail-intake"}
KEYS_OF = {
    "api": {"secret-keys", "stripe-secret-key", "tls.crt", "tls.key", "token-key"},
    "deployer": {"ray-token", "secret-keys", "smtp-password"},
    "mail-intake": {"secret-keys", "tls.crt", "tls.key"},
    "migrate": {"credentials.json", "database-owner-url"},
    "node": set(),
    "postgres": {"postgres-password"},
    "ray": {"ray-token"},
    "s3": {"s3.json"},
}
"""The secrets that a service is given, besides those of database and bucket."""
SHAREABLE = "shareable"
STORES = {"database-url", "s3-access-key", "s3-secret-key"}
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?::-([^}]*))?\}")
_FILE = "_FILE"


def substituted(text: str) -> str:
    """The file as compose reads it without any variable set."""
    return _VARIABLE.sub(lambda found: found[2] or "", text).replace("$$", "$")


def load(directory: Path = DEPLOY) -> Json:
    content: Json = yaml.safe_load(substituted((directory / "compose.yaml").read_text()))
    return content


def faults_in(directory: Path) -> list[str]:
    """Return the faults of compose.yaml in a directory, and of the example of its variables."""
    try:
        content = load(directory)
        # JSON, since merged keys are not resolved by it.
        compose_spec.PyCompose.from_json(json.dumps(content))
    except (ValueError, yaml.YAMLError) as error:
        return [f"compose.yaml: {error}"]
    return [*_variables(directory), *_references(content), *_promises(content)]


def example(directory: Path) -> dict[str, str]:
    """The variables of the example with their values."""
    lines = (directory / EXAMPLE).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _variables(directory: Path) -> Iterator[str]:
    used = dict(_VARIABLE.findall((directory / "compose.yaml").read_text()))
    described = example(directory)
    for name in used.keys() ^ described.keys():
        yield f"{name} is in compose.yaml alone, or in {EXAMPLE} alone"
    for name in used.keys() & described.keys():
        if used[name] != described[name]:
            yield f"{name} is {used[name]} by itself, and {described[name]} in {EXAMPLE}"


def _references(content: Json) -> Iterator[str]:
    services = content["services"]
    used: dict[str, set[str]] = {"secrets": set(), "volumes": set(), "networks": set()}
    for name, service in services.items():
        used["secrets"] |= set(secrets_of(service))
        used["volumes"] |= {volume.split(":")[0] for volume in service.get("volumes", [])}
        used["networks"] |= set(service.get("networks", []))
        for other, condition in service.get("depends_on", {}).items():
            yield from _dependency(name, other, condition["condition"], services)
        for mode in ("network_mode", "pid", "ipc"):
            value = service.get(mode, "service:node")
            shared = value.removeprefix("service:")
            if (mode, value) == ("ipc", SHAREABLE):
                continue
            if shared not in services or not services[shared].get("init"):
                yield f"{name}: {mode}: there is no service {shared} that holds it"
            elif mode == "ipc" and services[shared].get("ipc") != SHAREABLE:
                yield f"{shared}: Docker lets {name} share its memory only where ipc is {SHAREABLE}"
        yield from _unmounted_files(name, service)
    for kind, names in used.items():
        for name in names ^ set(content[kind]):
            yield f"{kind}: {name} is used and not there, or the other way round"


def _dependency(name: str, other: str, condition: str, services: Json) -> Iterator[str]:
    if other not in services:
        yield f"{name}: there is no service {other}"
    elif condition == "service_healthy" and "test" not in services[other].get("healthcheck", {}):
        yield f"{name}: nobody asks whether {other} is healthy"
    elif condition == "service_completed_successfully" and services[other]["restart"] != "on-failure":
        yield f"{name}: {other} does not end"


def secrets_of(service: Json) -> dict[str, str]:
    """Return the path of each secret of a service, by its name."""
    given = [{"source": one} if isinstance(one, str) else one for one in service.get("secrets", [])]
    return {one["source"]: one.get("target", f"/run/secrets/{one['source']}") for one in given}


def _unmounted_files(name: str, service: Json) -> Iterator[str]:
    mounted = set(secrets_of(service).values())
    words = [*service.get("environment", {}).values(), *service.get("command", [])]
    mentioned = re.findall(r"/run/[a-z]+/[a-z0-9.-]+", " ".join(map(str, words)))
    yield from (f"{name}: {path} is not mounted" for path in set(mentioned) - mounted)


def _promises(content: Json) -> Iterator[str]:
    for name, service in content["services"].items():
        if "restart" not in service or "logging" not in service or "healthcheck" not in service:
            yield f"{name}: it is not restarted, not watched, or its logs grow for ever"
        if "no-new-privileges:true" not in service.get("security_opt", []):
            yield f"{name}: it may gain privileges"
        if "ports" in service and name not in PUBLISHED:
            yield f"{name}: its ports are published"
        if set(secrets_of(service)) - STORES != KEYS_OF[name]:
            yield f"{name}: it is given the secrets {sorted(secrets_of(service))}"
        if not re.search(r":\d[\w.-]*(@sha256:[0-9a-f]{64})?$", service["image"]):
            yield f"{name}: {service['image']} may be another one tomorrow"
        if name in OURS:
            yield from _ours(name, service)
    if not content["networks"]["data"].get("internal"):
        yield "networks: Postgres and objects can be reached from outside"


def _ours(name: str, service: Json) -> Iterator[str]:
    if service["image"] not in {f"pagemill-api:{__version__}", f"pagemill-ray:{__version__}"}:
        yield f"{name}: {service['image']} is not of this release"
    if not (service.get("read_only") and service.get("cap_drop") == ["ALL"]):
        yield f"{name}: it is not confined"
    if service.get("init", False) == ("pid" in service):
        yield f"{name}: the first of its processes is not one that waits for the others"
    if service.get("user") != "10001:10001":
        yield f"{name}: its user is not that of the image"
    if name != "node":
        yield from _environment(name, service)


def _environment(name: str, service: Json) -> Iterator[str]:
    environment = {key: str(value) for key, value in service["environment"].items()}
    own = {"CPUS"} if name == "ray" else set()
    for variable in environment:
        if not is_known(variable.removesuffix(_FILE)) and variable not in own:
            yield f"{name}: nobody reads {variable}"
    try:
        load_settings({key.removesuffix(_FILE): value for key, value in environment.items()})
    except SettingsError as error:
        yield f"{name}: {error}"
    if name == "ray":
        refused = refused_by_ray(ray_arguments(service))
        if refused is not None:
            yield f"{name}: ray start: {refused}"


def ray_arguments(service: Json) -> list[str]:
    """The arguments of ``ray start`` in the command of a service."""
    arguments = service["command"][-1].partition("exec ray start ")[2]
    return [word.strip('"').replace("$CPUS", "2").replace('"', "") for word in arguments.split()]
