"""The documents of a directory of manifests, and the pods that they describe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
Json = dict[str, Any]


@dataclass(frozen=True)
class Document:
    """A Kubernetes object, and the file that it stands in."""

    path: Path
    content: Json

    @property
    def kind(self) -> str:
        return str(self.content["kind"])

    @property
    def name(self) -> str:
        return str(self.content.get("metadata", {}).get("name", ""))

    def __str__(self) -> str:
        return f"{self.path.name}: {self.kind} {self.name}".rstrip()


@dataclass(frozen=True)
class Pod:
    """A pod that is described somewhere: its labels as the cluster will see them, and its specification."""

    owner: str
    labels: Mapping[str, str]
    specification: Json

    @property
    def containers(self) -> list[Json]:
        """All containers, those that run beside the others from the beginning among them."""
        return [*self.specification.get("initContainers", []), *self.specification["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """Numbers of the ports by name."""
        return {
            port["name"]: port["containerPort"] for one in self.containers for port in one.get("ports", [])
        }


def load(directory: Path) -> list[Document]:
    """All documents below a directory, without those that an operator has filled in."""
    return [
        Document(path, content)
        for path in sorted(directory.rglob("*.yaml"))
        for content in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)
        if content and not path.name.endswith(".local.yaml")
    ]


def of_kind(documents: Sequence[Document], *kinds: str) -> list[Document]:
    return [document for document in documents if document.kind in kinds]


def cluster_in(documents: Sequence[Document]) -> Json:
    [document] = of_kind(documents, "RayCluster")
    return document.content


def groups_of(cluster: Json) -> dict[str, Json]:
    """The groups of nodes by name, as KubeRay and Ray's autoscaler call them."""
    specification = cluster["spec"]
    return {
        "headgroup": specification["headGroupSpec"],
        **{group["groupName"]: group for group in specification["workerGroupSpecs"]},
    }


def pods_in(documents: Sequence[Document]) -> Iterator[Pod]:
    for document in documents:
        if document.kind in {"Deployment", "Job"}:
            template = document.content["spec"]["template"]
            yield Pod(str(document), template["metadata"]["labels"], template["spec"])
        if document.kind == "RayCluster":
            for name, group in groups_of(document.content).items():
                labels = {**template_labels(group), **group.get("labels", {}), "ray.io/group": name}
                yield Pod(f"{document} {name}", labels, group["template"]["spec"])


def template_labels(group: Json) -> Json:
    labels: Json = group["template"].get("metadata", {}).get("labels", {})
    return labels
