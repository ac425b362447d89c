"""Choice of the engine that the settings name."""

from __future__ import annotations

import os

from pagemill.containers.engine import Engine
from pagemill.containers.kubernetes_access import SCHEME, find_access
from pagemill.settings import Settings


def is_kubernetes(settings: Settings) -> bool:
    """Return whether containers are Jobs of the cluster."""
    return settings.container_engine_url.startswith(SCHEME)


def check_engine(settings: Settings) -> None:
    """Raise SettingsError where the settings name an engine that cannot be one here."""
    if is_kubernetes(settings):
        find_access(os.environ)


def open_engine(settings: Settings) -> Engine | None:
    """Return a client of the engine, None where none is configured; its client is loaded when it is needed.

    Raises SettingsError for Kubernetes outside of it.
    """
    if not settings.container_engine_url:
        return None
    if is_kubernetes(settings):
        from pagemill.containers.kubernetes_engine import KubernetesEngine

        return KubernetesEngine(settings, find_access(os.environ))
    from pagemill.containers.docker_engine import DockerEngine

    return DockerEngine(settings)
