"""Declaration of Serve's applications, their settings and their release.

Serve keeps a declaration in clear, so no secret is in it: those come from the environment of the nodes. It
replaces replicas when their declared environment changes, and starts none anew for the same declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray.serve.config import AutoscalingConfig, ProxyLocation
from ray.serve.schema import DeploymentSchema, ServeApplicationSchema, ServeDeploySchema

from pagemill.applications.requests import (
    PREDICTION,
    PREDICTION_DEPLOYMENT,
    READING,
    READING_DEPLOYMENT,
)
from pagemill.cluster.scaling.configuration import prediction_autoscaling, reading_autoscaling
from pagemill.settings import PREFIX, SECRET, Settings, to_environment

RELEASE = PREFIX + "RELEASE"
"""Variable of replicas that holds their release."""
ATTEMPT = PREFIX + "RELEASE_ATTEMPT"
"""Variable of replicas that counts the failed attempts before theirs: Serve tries again only what changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedApplication:
    """An application with one deployment."""

    name: str
    deployment: str
    builder: str
    """``module:function`` that builds it from the settings in its environment."""
    settings: tuple[str, ...]
    """Settings that the deployer gives its replicas: a change replaces these. The others are their nodes'."""
    autoscaling: Callable[[Settings], AutoscalingConfig]


APPLICATIONS = (
    ServedApplication(
        name=READING,
        deployment=READING_DEPLOYMENT,
        builder="serve_apps.reading:reading_application",
        settings=("reading_cpus", "reading_memory", "gpu_per_reading_replica", "reading_scripts"),
        autoscaling=reading_autoscaling,
    ),
    ServedApplication(
        name=PREDICTION,
        deployment=PREDICTION_DEPLOYMENT,
        builder="serve_apps.prediction:prediction_application",
        settings=(
            "prediction_cpus",
            "prediction_memory",
            "gpu_per_prediction_replica",
            "prediction_threads",
            "prediction_cache",
            "prediction_loads",
            "prediction_files",
            "prediction_model_age",
        ),
        autoscaling=prediction_autoscaling,
    ),
)


def serve_configuration(
    settings: Settings,
    release: str,
    applications: Sequence[ServedApplication] = APPLICATIONS,
    *,
    attempts: Mapping[str, int] | None = None,
    surge: bool = True,
) -> ServeDeploySchema:
    """Return the declaration of all applications.

    ``attempts`` are the failed attempts with this release, by application. Without ``surge`` a replica ends
    before its successor starts.
    """
    return ServeDeploySchema(
        proxy_location=ProxyLocation.Disabled,
        applications=[
            ServeApplicationSchema(
                name=application.name,
                route_prefix=None,
                import_path=application.builder,
                runtime_env={
                    "env_vars": _environment(
                        application, settings, release, (attempts or {}).get(application.name, 0)
                    )
                },
                deployments=[_deployment(application, settings, surge)],
            )
            for application in applications
        ],
    )


def _environment(
    application: ServedApplication, settings: Settings, release: str, attempt: int
) -> dict[str, str]:
    assert not set(application.settings) & set(SECRET)
    given = to_environment(settings)
    names = [PREFIX + name.upper() for name in application.settings]
    return {
        RELEASE: release,
        **({ATTEMPT: str(attempt)} if attempt else {}),
        **{name: given[name] for name in names if name in given},
    }


def _deployment(application: ServedApplication, settings: Settings, surge: bool) -> DeploymentSchema:
    """Return what changes without replacing replicas; other options stand in the application's code."""
    autoscaling = application.autoscaling(settings)
    changing: dict[str, Any] = {} if surge else {"max_surge_percent": 0}
    return DeploymentSchema(
        name=application.deployment,
        autoscaling_config=autoscaling.model_dump(mode="json", exclude_unset=True),
        **changing,
    )
