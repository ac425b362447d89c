"""Promises that the manifests keep: confinement, keys, sizes, versions and pools."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import yaml
from ray._private.ray_constants import DEFAULT_DASHBOARD_AGENT_LISTEN_PORT, DEFAULT_PORT
from ray.autoscaler._private.constants import AUTOSCALER_METRIC_PORT
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from pagemill import __version__
from pagemill.pools import POOL_LABEL, Pool
from pagemill.settings import SettingsError, load_settings
from tests.support.manifests.documents import (
    ROOT,
    Document,
    Json,
    Pod,
    cluster_in,
    groups_of,
    of_kind,
    pods_in,
)
from tests.support.manifests.known_names import is_known, refused_by_ray

CONFINED: Json = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
ELSEWHERE = {"PAGEMILL_DATABASE_URL": "postgresql://elsewhere", "PAGEMILL_OBJECTS_URL": "s3://elsewhere"}
DATABASE, OBJECTS = "pagemill-database", "pagemill-objects"
SEALING, MAIL, API = "pagemill-sealing", "pagemill-mail", "pagemill-api"
KEYS_OF = {
    "api": {DATABASE, OBJECTS, API, SEALING, "pagemill-tls"},
    "mail-intake": {DATABASE, OBJECTS, SEALING, "pagemill-tls"},
    "migrate": {DATABASE, "pagemill-database-owner", "pagemill-first-client"},
    "deployer": {DATABASE, OBJECTS, SEALING, MAIL, "pagemill"},
    "ray": {DATABASE, OBJECTS},
}
"""The secrets that each container is given; nothing that runs foreign bytes has keys that sign."""
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_OF_RAY_ITSELF = 2**30
"""Bytes of a node that neither work nor the object store may take."""


def broken_promises(documents: Sequence[Document]) -> Iterator[str]:
    for pod in pods_in(documents):
        yield from _unconfined(pod)
        yield from _wrong_keys(pod)
        yield from _wrong_images(pod.owner, [one["image"] for one in pod.containers])
    for kustomization in of_kind(documents, "Kustomization"):
        images = kustomization.content.get("images", [])
        yield from _wrong_images(str(kustomization), [f"{one['name']}:{one['newTag']}" for one in images])
    yield from _filled_secrets(documents)
    yield from _unknown_names(documents)
    yield from _cluster(cluster_in(documents))
    yield from _metrics_of_api(documents)


def _unconfined(pod: Pod) -> Iterator[str]:
    context = pod.specification.get("securityContext", {})
    if not (context.get("runAsNonRoot") and context.get("runAsUser", 0) > 1000):
        yield f"{pod.owner}: it may run as root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield f"{pod.owner}: its calls of the kernel are not filtered"
    if pod.specification.get("automountServiceAccountToken") is not False:
        yield f"{pod.owner}: it is given a token for Kubernetes"
    for name in {"hostNetwork", "hostPID", "hostIPC"} & set(pod.specification):
        yield f"{pod.owner}: {name}"
    # Whoever joins Ray looks for its node among the processes.
    joins = any(one["name"] == "deployer" for one in pod.containers)
    if pod.specification.get("shareProcessNamespace", False) != joins:
        yield f"{pod.owner}: its containers see each other's processes, or the deployer does not see the node"
    for container in pod.containers:
        yield from _unconfined_container(f"{pod.owner}: {container['name']}", container)


def _unconfined_container(where: str, container: Json) -> Iterator[str]:
    context = container.get("securityContext", {})
    for name, value in CONFINED.items():
        if context.get(name) != value:
            yield f"{where}: {name} is {context.get(name)}"
    if not {"requests", "limits"} <= set(container.get("resources", {})):
        yield f"{where}: nothing says what it takes"
    elif "memory" not in container["resources"]["limits"]:
        yield f"{where}: its memory has no bound"


def _wrong_keys(pod: Pod) -> Iterator[str]:
    of_pod = {one["secret"]["secretName"] for one in pod.specification["volumes"] if "secret" in one}
    for container in pod.containers:
        given = {one["secretRef"]["name"] for one in container.get("envFrom", []) if "secretRef" in one}
        given |= {
            one["valueFrom"]["secretKeyRef"]["name"]
            for one in container.get("env", [])
            if "secretKeyRef" in one.get("valueFrom", {})
        }
        if given | of_pod != KEYS_OF[container["name"]]:
            yield f"{pod.owner}: {container['name']} is given the secrets {sorted(given | of_pod)}"


def _wrong_images(where: str, images: Sequence[str]) -> Iterator[str]:
    for image in images:
        if image not in {f"pagemill-api:{__version__}", f"pagemill-ray:{__version__}"}:
            yield f"{where}: the image {image} is not one of release {__version__}"


def _filled_secrets(documents: Sequence[Document]) -> Iterator[str]:
    for secret in of_kind(documents, "Secret"):
        if secret.content.get("data") or any(secret.content["stringData"].values()):
            yield f"{secret}: it has a value"


def _unknown_names(documents: Sequence[Document]) -> Iterator[str]:
    for where, name in _variables(documents):
        if not is_known(name):
            yield f"{where}: nobody reads {name}"
    values: dict[str, str] = {}
    for document in of_kind(documents, "ConfigMap"):
        values |= document.content["data"]
    try:
        load_settings(ELSEWHERE | values)
    except SettingsError as error:
        yield f"settings.yaml: {error}"


def _variables(documents: Sequence[Document]) -> Iterator[tuple[str, str]]:
    for document in of_kind(documents, "ConfigMap", "Secret"):
        for name in {**document.content.get("data", {}), **document.content.get("stringData", {})}:
            if name == name.upper():
                yield str(document), name
    for pod in pods_in(documents):
        for container in pod.containers:
            for one in container.get("env", []):
                yield f"{pod.owner}: {container['name']}", one["name"]


def _cluster(cluster: Json) -> Iterator[str]:
    specification = cluster["spec"]
    if specification["rayVersion"] != version("ray"):
        yield f"raycluster.yaml: Ray {specification['rayVersion']} is not the one that is installed"
    if specification["authOptions"] != {"mode": "token"}:
        yield "raycluster.yaml: Ray asks nobody for a token"
    context = specification["autoscalerOptions"]["securityContext"]
    if any(context.get(name) != value for name, value in CONFINED.items()):
        yield "raycluster.yaml: the autoscaler is not confined"
    for name, group in groups_of(cluster).items():
        yield from _group(f"raycluster.yaml: {name}", group, is_head=name == "headgroup")
    yield from _unlike_cluster_yaml(cluster)


def _group(where: str, group: Json, *, is_head: bool) -> Iterator[str]:
    parameters: Mapping[str, str] = group["rayStartParams"]
    arguments = [f"--{name}={value}" for name, value in parameters.items()]
    refused = refused_by_ray(["--head", *arguments] if is_head else arguments)
    if refused is not None:
        yield f"{where}: ray start: {refused}"
    if group["labels"].get(POOL_LABEL) not in set(Pool):
        yield f"{where}: {group['labels']} is no pool of pagemill.pools"
    pod = Pod(where, {}, group["template"]["spec"])
    container = group["template"]["spec"]["containers"][0]
    ports = pod.ports
    if str(ports.get("metrics")) != parameters.get("metrics-export-port"):
        yield f"{where}: the port metrics is {ports.get('metrics')}, which is not that of Ray"
    of_head = (ports.get("gcs-server"), ports.get("as-metrics"))
    if is_head and of_head != (DEFAULT_PORT, AUTOSCALER_METRIC_PORT):
        yield f"{where}: the head's ports are not those of Ray"
    for probe in ("readinessProbe", "livenessProbe"):
        if container[probe]["httpGet"]["port"] != DEFAULT_DASHBOARD_AGENT_LISTEN_PORT:
            yield f"{where}: {probe} asks a port that is not that of Ray's agent"
    yield from _sizes(where, parameters, pod.specification)


def _sizes(where: str, parameters: Mapping[str, str], specification: Json) -> Iterator[str]:
    limit = _bytes(specification["containers"][0]["resources"]["limits"]["memory"])
    store = int(parameters["object-store-memory"])
    if int(parameters["memory"]) + store + _OF_RAY_ITSELF > limit:
        yield f"{where}: work and object store fill the container's memory"
    volumes = {one["name"]: one.get("emptyDir", {}) for one in specification["volumes"]}
    if store > _bytes(volumes["shared-mem"]["sizeLimit"]) or volumes["shared-mem"].get("medium") != "Memory":
        yield f"{where}: the object store does not fit into /dev/shm"
    mounts = {one["mountPath"] for one in specification["containers"][0]["volumeMounts"]}
    if not {"/tmp", "/tmp/ray", "/dev/shm", parameters["object-spilling-directory"]} <= mounts:
        yield f"{where}: Ray writes where nothing is mounted"


def _unlike_cluster_yaml(cluster: Json) -> Iterator[str]:
    """It is the same cluster, as Ray's autoscaler reads both files."""
    named = copy.deepcopy(cluster)
    named["metadata"]["namespace"] = "pagemill"
    try:
        derived = _derive_autoscaling_config_from_ray_cr(named)["available_node_types"]
    except Exception as error:  # noqa: BLE001 - whatever the autoscaler says against it
        yield f"raycluster.yaml: the autoscaler refuses it: {error}"
        return
    described = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    types: dict[str, Json] = described["available_node_types"]
    types["headgroup"] = types.pop(described["head_node_type"])
    for name in derived.keys() ^ types.keys():
        yield f"raycluster.yaml: {name} is in cluster.yaml alone, or not in it"
    for name, group in groups_of(cluster).items():
        # The autoscaler does not plan with it.
        store = int(group["rayStartParams"]["object-store-memory"])
        derived[name]["resources"]["object_store_memory"] = store
    for name in sorted(derived.keys() & types.keys()):
        here, there = _figures(derived[name]), _figures(types[name])
        if here != there:
            yield f"raycluster.yaml: {name} is {here}, in cluster.yaml {there}"


def _figures(node: Json) -> Json:
    figures: dict[str, Any] = {name: node.get(name) for name in ("labels", "min_workers", "max_workers")}
    # Ray takes 0 for a type without a priority, and a bound of the head for one without a time.
    figures |= {"priority": node.get("priority", 0), "idle_timeout_s": node.get("idle_timeout_s", 0)}
    return figures | {"resources": {name: value for name, value in node["resources"].items() if value}}


def _metrics_of_api(documents: Sequence[Document]) -> Iterator[str]:
    settings = {k: v for one in of_kind(documents, "ConfigMap") for k, v in one.content["data"].items()}
    for pod in (pod for pod in pods_in(documents) if "https" in pod.ports):
        if str(pod.ports.get("metrics")) != settings.get("PAGEMILL_METRICS_PORT"):
            yield f"{pod.owner}: the port metrics is not PAGEMILL_METRICS_PORT"


def _bytes(quantity: str) -> int:
    return int(quantity[:-2]) * _UNITS[quantity[-2:]]
