"""The manifests for Kubernetes: schemas, references and promises hold, and a typo in any of them is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.manifests.documents import DEPLOY, groups_of, load, of_kind, pods_in
from tests.support.manifests.kubernetes import faults_in
from tests.support.manifests.schemas import CRD, crd_path

KUBERNETES = DEPLOY / "kubernetes"


def test_the_manifests_hold() -> None:
    assert faults_in(KUBERNETES) == []


TYPOS = [
    ("foundation/namespace.yaml", "kind: Namespace", "kind: Namespaces"),
    ("foundation/settings.yaml", "PAGEMILL_READING_CPUS", "PAGEMILL_READING_CPU"),
    ("foundation/settings.yaml", 'PAGEMILL_TRAINING_MEMORY: "16"', "PAGEMILL_TRAINING_MEMORY: a lot"),
    ("foundation/settings.yaml", 'PAGEMILL_DRIVER_MEMORY: "1"', "PAGEMILL_DRIVER_MEMORY: 1"),
    ("foundation/settings.yaml", "RAY_ROTATION_MAX_BYTES", "RAY_ROTATE_MAX_BYTES"),
    ("foundation/settings.yaml", 'PAGEMILL_METRICS_PORT: "9464"', 'PAGEMILL_METRICS_PORT: "9465"'),
    ("foundation/secrets.yaml", "PAGEMILL_TOKEN_KEY:", "PAGEMILL_TOKEN_KEYS:"),
    ("foundation/secrets.yaml", 'PAGEMILL_SECRET_KEYS: ""', 'PAGEMILL_SECRET_KEYS: "1:c2VjcmV0"'),
    ("foundation/secrets.yaml", "name: pagemill-sealing", "name: pagemill-sealings"),
    ("foundation/service-accounts.yaml", "name: pagemill-ray-head", "name: pagemill-ray-haed"),
    ("foundation/service-accounts.yaml", "automountServiceAccountToken: false", "automountToken: false"),
    ("foundation/network-policies.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingres, Egress]"),
    ("foundation/network-policies.yaml", "component: api}", "component: apis}"),
    ("foundation/network-policies.yaml", "pagemill/pool: head", "pagemill/pool: haed"),
    ("foundation/network-policies.yaml", "port: as-metrics", "port: ad-metrics"),
    ("foundation/network-policies.yaml", "podSelector: {}", "podSelectors: {}"),
    ("foundation/kustomization.yaml", "- settings.yaml", "- setting.yaml"),
    ("mail-intake/kustomization.yaml", "- mail-intake.yaml", "- mail.yaml"),
    ("mail-intake/mail-intake.yaml", "targetPort: smtp", "targetPort: mail"),
    ("mail-intake/mail-intake.yaml", "PAGEMILL_MAIL_INTAKE_KEY,", "PAGEMILL_MAIL_INTAKE_KEYS,"),
    ("mail-intake/mail-intake.yaml", "component: mail-intake}", "component: mail}"),
    ("migration/kustomization.yaml", "newTag: 0.1.0", "newTag: 0.1.1"),
    ("migration/job.yaml", "name: first-client, mountPath", "name: first-clients, mountPath"),
    ("migration/job.yaml", "key: PAGEMILL_DATABASE_URL", "key: PAGEMILL_DATABASE"),
    ("migration/job.yaml", "restartPolicy: Never", "restartPolicy: Always"),
    ("migration/job.yaml", "cpu: 100m", "cpus: 100m"),
    ("migration/job.yaml", "runAsUser: 10001", "runAsUser: 0"),
    ("migration/job.yaml", "backoffLimit: 6", "backofLimit: 6"),
    ("platform/kustomization.yaml", "kind: Kustomization", "kind: Kustomisation"),
    ("platform/api.yaml", "targetPort: https", "targetPort: http"),
    ("platform/api.yaml", "minAvailable: 1", "minAvailabel: 1"),
    ("platform/api.yaml", "image: pagemill-api:0.1.0", "image: pagemill-api:latest"),
    ("platform/api.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true"),
    ("platform/api.yaml", "capabilities: {drop: [ALL]}", "capabilities: {drop: [NET_RAW]}"),
    ("platform/api.yaml", "scheme: HTTPS", "schema: HTTPS"),
    ("platform/api.yaml", "port: https, scheme", "port: http, scheme"),
    ("platform/api.yaml", "containerPort: 9464", "containerPort: 9090"),
    ("platform/api.yaml", "- secretRef: {name: pagemill-sealing}", "- secretRef: {name: pagemill-mail}"),
    ("platform/raycluster.yaml", 'rayVersion: "2.60.0"', 'rayVersion: "2.6.0"'),
    ("platform/raycluster.yaml", "pagemill/pool: serving", "pagemill/pool: servings"),
    ("platform/raycluster.yaml", "labels: {pagemill/pool: head}", "labels: {pagemill/pol: head}"),
    ("platform/raycluster.yaml", "idleTimeoutSeconds: 600", "idleTimeoutSeconds: 60"),
    ("platform/raycluster.yaml", "metrics-export-port:", "metric-export-port:"),
    ("platform/raycluster.yaml", "containerPort: 8090", "containerPort: 8080"),
    ("platform/raycluster.yaml", "name: spill, mountPath", "name: spil, mountPath"),
    ("platform/raycluster.yaml", 'limits: {memory: 14Gi, nvidia.com/gpu: "1"}', "limits: {memory: 14Gi}"),
    ("platform/raycluster.yaml", "mode: token", "mode: disabled"),
    ("platform/raycluster.yaml", "shareProcessNamespace: true", "shareProcessNamespace: false"),
    ("platform/raycluster.yaml", "restartPolicy: Always", "restartPolicy: Allways"),
    ("platform/raycluster.yaml", "- secretRef: {name: pagemill-mail}", "- secretRef: {name: pagemill-mails}"),
    ("platform/raycluster.yaml", "key: auth_token", "key: token"),
    ("platform/raycluster.yaml", 'object-store-memory: "6442450944"', 'object-store-memory: "9442450944"'),
    ("platform/raycluster.yaml", "effect: NoSchedule}", "effects: NoSchedule}"),
    ("steps/kustomization.yaml", "namespace: pagemill-steps", "namespace: pagemill-step"),
    ("steps/namespace.yaml", "kind: Namespace", "kind: NameSpace"),
    ("steps/access.yaml", "apiGroups: [batch]", "apiGroup: [batch]"),
    ("steps/access.yaml", "name: pagemill-ray-head", "name: pagemill-ray-heads"),
    ("steps/access.yaml", "namespace: pagemill", "namespace: pagemill-steps"),
    ("steps/access.yaml", "  name: pagemill-steps\nsubjects", "  name: pagemill-step\nsubjects"),
    ("steps/access.yaml", "kind: ServiceAccount", "kind: Serviceaccount"),
    ("steps/network-policies.yaml", "policyTypes: [Egress]", "policyTypes: [Ingress]"),
    ("steps/network-policies.yaml", "protocol: UDP", "protocols: UDP"),
    ("monitoring/kustomization.yaml", "- pod-monitors.yaml", "- pod-monitor.yaml"),
    ("monitoring/pod-monitors.yaml", "port: metrics", "port: metric"),
    ("monitoring/pod-monitors.yaml", "podMetricsEndpoints", "podMetricEndpoints"),
    ("monitoring/pod-monitors.yaml", "component: ray", "component: rays"),
    ("monitoring/pod-monitors.yaml", "interval: 15s", "interval: 15"),
    ("monitoring/pod-monitors.yaml", "targetLabel: job", "target: job"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "right", "wrong"), TYPOS)
def test_a_typo_is_found(tmp_path: Path, file: str, right: str, wrong: str) -> None:
    copied = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, copied)
    planted = copied / file
    before = planted.read_text()
    planted.write_text(before.replace(right, wrong, 1))

    assert planted.read_text() != before
    assert faults_in(copied) != []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("autoscalerOptions:", "autoscalerOption:"),
        ("version: v2", "version: v3"),
        ("backend: rocksdb", "backend: rocks"),
        ("upgradeStrategy:", "updateStrategy:"),
        ("maxReplicas: 4", "maxReplica: 4"),
        ("priority: 10", "priority: high"),
    ],
)
def test_what_only_kuberay_knows_is_found(tmp_path: Path, right: str, wrong: str) -> None:
    if crd_path() is None:
        pytest.skip(f"{CRD} names no definition of RayCluster")
    test_a_typo_is_found(tmp_path, "platform/raycluster.yaml", right, wrong)


def test_every_file_has_a_typo() -> None:
    files = {str(path.relative_to(KUBERNETES)) for path in KUBERNETES.rglob("*.yaml")}

    assert {file for file, _, _ in TYPOS} == files


def test_nothing_may_be_reached_but_what_is_named() -> None:
    policies = of_kind(load(KUBERNETES), "NetworkPolicy")
    closed = {one.path.parent.name: one.content["spec"] for one in policies if one.name == "deny-all"}

    everything = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert closed == {"foundation": everything, "steps": everything}


def test_who_starts_steps_may_read_no_secret_and_act_nowhere_else() -> None:
    roles = of_kind(load(KUBERNETES), "Role", "ClusterRole")
    [role] = roles
    rights = {
        resource: set(rule["verbs"]) for rule in role.content["rules"] for resource in rule["resources"]
    }

    assert role.path.parent.name == "steps"
    assert rights == {
        "jobs": {"create", "get", "list", "patch", "delete"},
        "secrets": {"create"},
        "pods": {"list"},
        "pods/log": {"get"},
    }


def test_the_dashboard_is_on_no_network() -> None:
    head = groups_of(of_kind(load(KUBERNETES), "RayCluster")[0].content)["headgroup"]

    assert head["rayStartParams"]["dashboard-host"] == "127.0.0.1"
    assert 8265 not in [port for pod in pods_in(load(KUBERNETES)) for port in pod.ports.values()]


def test_a_pod_that_ends_has_the_time_that_its_work_may_take() -> None:
    documents = load(KUBERNETES)
    [settings] = [one for one in of_kind(documents, "ConfigMap") if one.name == "pagemill-ray"]
    drain = float(settings.content["data"]["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
    workers = [pod for pod in pods_in(documents) if pod.labels.get("ray.io/group") not in {None, "headgroup"}]
    [api] = [pod for pod in pods_in(documents) if pod.labels["app.kubernetes.io/component"] == "api"]

    assert len(workers) == 6
    assert all(pod.specification["terminationGracePeriodSeconds"] > drain for pod in workers)
    slept = api.containers[0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert api.specification["terminationGracePeriodSeconds"] > slept + 75
