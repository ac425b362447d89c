"""The schema of each kind: Kubernetes' own, KubeRay's where it is at hand, and two small ones of ours."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate.utils
import yaml

from tests.support.manifests.documents import Document, Json, groups_of

KUBERNETES = "1.33"
CRD = "PAGEMILL_KUBERAY_CRD"
"""Variable with the path of KubeRay's definition of RayCluster."""

LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
KUSTOMIZATION = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "namespace", "resources"],
    "properties": {
        "apiVersion": {"const": "kustomize.config.k8s.io/v1beta1"},
        "kind": {"const": "Kustomization"},
        "namespace": {"enum": ["pagemill", "pagemill-steps"]},
        "resources": {"type": "array", "items": {"type": "string", "pattern": r"^[a-z-]+\.yaml$"}},
        "images": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "newTag"],
                "properties": {"name": {"type": "string"}, "newTag": {"type": "string"}},
            },
        },
    },
}
SECONDS = {"type": "string", "pattern": "^[1-9][0-9]*s$"}
RELABELING = {
    "type": "object",
    "additionalProperties": False,
    "required": ["targetLabel", "replacement"],
    "properties": {"targetLabel": {"type": "string"}, "replacement": {"type": "string"}},
}
POD_MONITOR = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "PodMonitor"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["selector", "podMetricsEndpoints"],
            "properties": {
                "selector": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["matchLabels"],
                    "properties": {"matchLabels": LABELS},
                },
                "podTargetLabels": {"type": "array", "items": {"type": "string"}},
                "podMetricsEndpoints": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["port", "path"],
                        "properties": {
                            "port": {"type": "string"},
                            "path": {"const": "/metrics"},
                            "interval": SECONDS,
                            "scrapeTimeout": SECONDS,
                            "relabelings": {"type": "array", "items": RELABELING},
                        },
                    },
                },
            },
        },
    },
}
# It reads a megabyte of definitions for each object.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)
OWN = {"Kustomization": KUSTOMIZATION, "PodMonitor": POD_MONITOR}


def broken_schemas(document: Document) -> Iterator[str]:
    """Return the faults that the schema of its kind finds in a document."""
    if document.kind in OWN:
        yield from _errors(OWN[document.kind], document.content, str(document))
    elif document.kind == "RayCluster":
        yield from _broken_cluster(document)
    else:
        yield from _broken_core(document.content, str(document))


def _broken_core(content: Json, where: str) -> Iterator[str]:
    try:
        kubernetes_validate.validate(content, KUBERNETES, strict=True)
    except kubernetes_validate.utils.ValidationError as error:
        yield f"{where}: {'.'.join(map(str, error.absolute_path))}: {error.message}"
    except kubernetes_validate.utils.SchemaNotFoundError as error:
        yield f"{where}: {error.message}"


def _broken_cluster(document: Document) -> Iterator[str]:
    for name, group in groups_of(document.content).items():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
        yield from _broken_core({**pod, "spec": group["template"]["spec"]}, f"{document} {name}")
    if crd_path() is not None:
        yield from _errors(_cluster_schema(), document.content, str(document))


def crd_path() -> Path | None:
    """Return the path of KubeRay's definition, if there is one."""
    given = os.environ.get(CRD)
    return Path(given) if given else None


@functools.cache
def _cluster_schema() -> Json:
    """KubeRay's schema. As Kubernetes does when asked to be strict, it refuses what it does not know."""
    path = crd_path()
    assert path is not None
    # A megabyte: the loader in Python takes ten times as long.
    definition = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    [version] = [one for one in definition["spec"]["versions"] if one["name"] == "v1"]
    schema: Json = version["schema"]["openAPIV3Schema"]
    _close(schema)
    # Kubernetes has a schema of its own for it.
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return schema


def _close(schema: Any) -> None:
    if isinstance(schema, dict):
        is_object = schema.get("type") == "object" and isinstance(schema.get("properties"), dict)
        if is_object and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for one in schema.values():
            _close(one)
    elif isinstance(schema, list):
        for one in schema:
            _close(one)


def _errors(schema: Json, content: Json, where: str) -> Iterator[str]:
    for error in jsonschema.Draft202012Validator(schema).iter_errors(content):
        yield f"{where}: {'.'.join(map(str, error.absolute_path))}: {error.message}"
