"""References between documents: names, labels, ports, keys and files that have to be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.manifests.documents import Document, Json, Pod, of_kind, pods_in

MADE_BY_KUBERAY = {("pagemill", "auth_token")}
MADE_BY_KUBERNETES = {"kube-root-ca.crt"}
NOT_LISTED = {"secrets.yaml", "secrets.local.yaml", "kustomization.yaml"}
"""Templates without values: applied, they would empty what an operator has filled in."""


def missing_references(documents: Sequence[Document]) -> Iterator[str]:
    for pod in pods_in(documents):
        yield from _missing_keys(pod, documents)
        yield from _missing_volumes(pod, documents)
        yield from _missing_ports(pod)
    yield from _selectors(documents)
    yield from _unlisted(documents)
    yield from _bindings(documents)


def _keys(documents: Sequence[Document], kind: str) -> dict[str, set[str]]:
    return {
        one.name: set(one.content.get("stringData", {})) | set(one.content.get("data", {}))
        for one in of_kind(documents, kind)
    }


def _missing_keys(pod: Pod, documents: Sequence[Document]) -> Iterator[str]:
    settings, secrets = _keys(documents, "ConfigMap"), _keys(documents, "Secret")
    for container in pod.containers:
        where = f"{pod.owner}: {container['name']}"
        for source in container.get("envFrom", []):
            for reference, known in (("configMapRef", settings), ("secretRef", secrets)):
                if reference in source and source[reference]["name"] not in known:
                    yield f"{where}: there is no {source[reference]['name']}"
        for variable in container.get("env", []):
            chosen = variable.get("valueFrom", {}).get("secretKeyRef")
            if chosen is None or (chosen["name"], chosen["key"]) in MADE_BY_KUBERAY:
                continue
            if chosen["key"] not in secrets.get(chosen["name"], set()):
                yield f"{where}: the secret {chosen['name']} has no {chosen['key']}"


def _missing_volumes(pod: Pod, documents: Sequence[Document]) -> Iterator[str]:
    volumes = {one["name"]: one for one in pod.specification.get("volumes", [])}
    mounted = {one["name"] for container in pod.containers for one in container.get("volumeMounts", [])}
    mounted |= _mounted_by_autoscaler(pod, documents)
    for name in mounted ^ set(volumes):
        yield f"{pod.owner}: the volume {name} is not there, or not mounted"
    for volume in volumes.values():
        secret = volume.get("secret", {}).get("secretName")
        if secret is not None and secret not in _keys(documents, "Secret"):
            yield f"{pod.owner}: there is no secret {secret}"
        for source in volume.get("projected", {}).get("sources", []):
            if "configMap" in source and source["configMap"]["name"] not in MADE_BY_KUBERNETES:
                yield f"{pod.owner}: there is no {source['configMap']['name']}"
    if pod.specification["serviceAccountName"] not in {
        one.name for one in of_kind(documents, "ServiceAccount")
    }:
        yield f"{pod.owner}: there is no service account {pod.specification['serviceAccountName']}"


def _mounted_by_autoscaler(pod: Pod, documents: Sequence[Document]) -> set[str]:
    if pod.labels.get("ray.io/group") != "headgroup":
        return set()
    [cluster] = of_kind(documents, "RayCluster")
    return {one["name"] for one in cluster.content["spec"]["autoscalerOptions"]["volumeMounts"]}


def _missing_ports(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        own = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            port = container.get(probe, {}).get("httpGet", {}).get("port")
            if isinstance(port, str) and port not in own:
                yield f"{pod.owner}: {probe} asks the port {port}, which {container['name']} does not have"


def selected(selector: Json, pods: Sequence[Pod]) -> list[Pod]:
    """The pods that a selector of labels means."""
    return [pod for pod in pods if _matches(selector, pod.labels)]


def _matches(selector: Json, labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        (labels.get(one["key"]) in one["values"]) == (one["operator"] == "In")
        for one in selector.get("matchExpressions", [])
    )


def _selectors(documents: Sequence[Document]) -> Iterator[str]:
    pods = list(pods_in(documents))
    for document in documents:
        for selector, ports in _selections(document):
            meant = selected(selector, pods)
            if not meant:
                yield f"{document}: no pod has the labels {selector}"
            for port in set(ports) - {name for pod in meant for name in pod.ports}:
                yield f"{document}: no pod that it selects has the port {port}"
            for pod in meant if ports else ():
                if not set(ports) & set(pod.ports):
                    yield f"{document}: it selects {pod.owner}, which has none of its ports"


def _selections(document: Document) -> Iterator[tuple[Json, list[str]]]:
    """The selectors of a document, each with the ports that the selected pods have to have."""
    specification = document.content.get("spec", {})
    if document.kind == "Service":
        ports = [one["targetPort"] for one in specification["ports"]]
        yield {"matchLabels": specification["selector"]}, ports
    elif document.kind == "PodMonitor":
        yield specification["selector"], [one["port"] for one in specification["podMetricsEndpoints"]]
    elif document.kind == "PodDisruptionBudget":
        yield specification["selector"], []
    elif document.kind == "Deployment":
        yield specification["selector"], []
        pod = specification["template"]["spec"]
        for one in pod.get("topologySpreadConstraints", []):
            yield one["labelSelector"], []
        for one in pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]:
            yield one["podAffinityTerm"]["labelSelector"], []
    elif document.kind == "NetworkPolicy":
        yield from _policy_selections(specification)


def _policy_selections(specification: Json) -> Iterator[tuple[Json, list[str]]]:
    entered = [port["port"] for rule in specification.get("ingress", []) for port in rule.get("ports", [])]
    yield specification["podSelector"], entered
    for rule in (*specification.get("ingress", []), *specification.get("egress", [])):
        for peer in (*rule.get("from", []), *rule.get("to", [])):
            if "podSelector" in peer and "namespaceSelector" not in peer:
                yield peer["podSelector"], []


def _bindings(documents: Sequence[Document]) -> Iterator[str]:
    """Rights of nobody, and rights that nobody has."""
    roles = {one.name for one in of_kind(documents, "Role")}
    accounts = {one.name for one in of_kind(documents, "ServiceAccount")}
    bindings = of_kind(documents, "RoleBinding")
    for binding in bindings:
        for subject in binding.content["subjects"]:
            if subject["kind"] != "ServiceAccount" or subject["name"] not in accounts:
                yield f"{binding}: there is no service account {subject['name']}"
            if subject.get("namespace") != "pagemill":
                yield f"{binding}: {subject['name']} is not of the platform's namespace"
    for name in roles ^ {one.content["roleRef"]["name"] for one in bindings}:
        yield f"the role {name} is not there, or nobody has it"


def _unlisted(documents: Sequence[Document]) -> Iterator[str]:
    for kustomization in of_kind(documents, "Kustomization"):
        directory: Path = kustomization.path.parent
        there = {path.name for path in directory.glob("*.yaml")} - NOT_LISTED
        for name in there ^ set(kustomization.content["resources"]):
            yield f"{kustomization}: {name} is listed and missing, or the other way round"
