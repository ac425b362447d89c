"""Access to the API of the Kubernetes cluster that this process runs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pagemill.settings import SettingsError

SCHEME: Final = "kubernetes://"
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Directory in which Kubernetes puts a pod's token."""
HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"


@dataclass(frozen=True, slots=True)
class KubernetesAccess:
    """Address and credentials; the kubelet writes the token's file anew before the token expires."""

    url: str
    token_file: Path
    ca_file: Path


def find_access(environ: Mapping[str, str], directory: Path = SERVICE_ACCOUNT) -> KubernetesAccess:
    """Return the access of this pod. Raises SettingsError where there is none."""
    host, port = environ.get(HOST), environ.get(PORT, "443")
    token_file, ca_file = directory / "token", directory / "ca.crt"
    if not host or not token_file.exists() or not ca_file.exists():
        raise SettingsError(
            f"PAGEMILL_CONTAINER_ENGINE_URL names Kubernetes, and this is no pod with a token of it: "
            f"{HOST} or {directory} is missing"
        )
    place = f"[{host}]" if ":" in host else host
    return KubernetesAccess(f"https://{place}:{port}", token_file, ca_file)
