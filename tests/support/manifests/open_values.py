"""Values that Kubernetes checks, and that its published schemas leave open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.support.manifests.documents import Document, Json, of_kind, pods_in

RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"})
PROTOCOLS = frozenset({"TCP", "UDP"})


def wrong_values(documents: Sequence[Document]) -> Iterator[str]:
    for policy in of_kind(documents, "NetworkPolicy"):
        yield from _of_policy(str(policy), policy.content["spec"])
    for job in of_kind(documents, "Job"):
        if job.content["spec"]["template"]["spec"]["restartPolicy"] not in {"Never", "OnFailure"}:
            yield f"{job}: a job's pods are not restarted always"
    for pod in pods_in(documents):
        for container in pod.containers:
            yield from _of_container(f"{pod.owner}: {container['name']}", container)


def _of_policy(where: str, specification: Json) -> Iterator[str]:
    directions = {"Ingress": "ingress", "Egress": "egress"}
    for name in set(specification["policyTypes"]) - set(directions):
        yield f"{where}: {name} is no direction"
    for name, rules in directions.items():
        if rules in specification and name not in specification["policyTypes"]:
            yield f"{where}: it has rules for {rules}, and does not say so"
        for rule in specification.get(rules, []):
            for port in rule.get("ports", []):
                if port.get("protocol") not in PROTOCOLS:
                    yield f"{where}: {port} has no protocol"


def _of_container(where: str, container: Json) -> Iterator[str]:
    if container.get("restartPolicy", "Always") != "Always":
        yield f"{where}: restartPolicy is {container['restartPolicy']}"
    requests, limits = container["resources"]["requests"], container["resources"]["limits"]
    for name in {*requests, *limits} - RESOURCES:
        yield f"{where}: {name} is no resource"
    for name in (name for name in {*requests, *limits} if "/" in name):
        if requests.get(name) != limits.get(name):
            yield f"{where}: {name} is asked for and bounded differently"
