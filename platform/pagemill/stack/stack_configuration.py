"""StackConfiguration of an embedded stack: the operator's settings, and embedded parts for the rest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from pagemill.settings import PREFIX, Settings, load_settings
from pagemill.stack.certificates import Certificates
from pagemill.stack.directory import DataDirectory
from pagemill.stack.postgres import free_port
from pagemill.stack.probes import port_answers

DATABASE_URL = PREFIX + "DATABASE_URL"
DATABASE_OWNER_URL = PREFIX + "DATABASE_OWNER_URL"
"""URL of the role that owns the schema, for those that migrate it. No setting: nothing that runs has it."""
SECRET_KEYS = PREFIX + "SECRET_KEYS"
RAY_ADDRESS = PREFIX + "RAY_ADDRESS"
MAIL_INTAKE_PORT = PREFIX + "MAIL_INTAKE_PORT"
METRICS_PORT = 9464
"""Port of the API's metrics unless somebody else has it: the one that is registered for such exporters."""


@dataclass(frozen=True, slots=True)
class StackConfiguration:
    """The parts that ``pagemill up`` was asked to run, and their settings."""

    directory: DataDirectory
    environ: Mapping[str, str]
    port: int
    with_ray: bool = True
    cores: int = 0
    metrics_port: int = 0
    """Port of the API's metrics where the operator chooses none; 0: none."""

    @property
    def url(self) -> str:
        """Return the URL of this stack's API."""
        return f"https://localhost:{self.port}"

    @property
    def embeds_postgres(self) -> bool:
        """Return whether the stack runs Postgres itself."""
        return not self.environ.get(DATABASE_URL)

    @property
    def embeds_ray(self) -> bool:
        """Return whether the stack runs Ray itself."""
        return self.with_ray and not self.environ.get(RAY_ADDRESS)

    @property
    def takes_mail(self) -> bool:
        """Return whether the stack runs an SMTP server: where the operator has chosen its port."""
        return self.environ.get(MAIL_INTAKE_PORT, "0") not in ("", "0")

    @property
    def ray_cpus(self) -> int:
        """Return the CPUs that the embedded Ray hands out: enough that training never waits for reading."""
        return max(2, self.cores or os.cpu_count() or 2)

    def settings(self, database_url: str, ray_address: str | None) -> Settings:
        """Return all settings of this stack. Raises SettingsError naming the variable that is wrong."""
        defaults = {
            DATABASE_URL: database_url,
            PREFIX + "OBJECTS_URL": self.directory.objects.as_uri(),
            PREFIX + "PUBLIC_URL": self.url,
            PREFIX + "TOKEN_KEY": self.directory.token_key(),
            SECRET_KEYS: self.directory.secret_keys(),
            PREFIX + "PREDICTION_FILES_DIRECTORY": str(self.directory.models),
            PREFIX + "METRICS_PORT": str(self.metrics_port),
            PREFIX + "METRICS_DIRECTORY": str(self.directory.metrics),
            # On one machine a process less; somebody who wants it can have it.
            PREFIX + "WORKFLOWS_DISPATCHER": "false",
            **self._mail_certificate(),
            PREFIX + "CONTAINER_CA_FILE": str(self.directory.ca_certificate),
            **_shares(self.ray_cpus),
        }
        if ray_address is not None:
            defaults[RAY_ADDRESS] = ray_address
        given = {name: value for name, value in self.environ.items() if name.startswith(PREFIX) and value}
        return load_settings(defaults | given)

    def _mail_certificate(self) -> dict[str, str]:
        """Return the stack's own certificate: senders of mail encrypt with any, and few of them check it."""
        names = (PREFIX + "MAIL_INTAKE_CERTIFICATE", PREFIX + "MAIL_INTAKE_KEY")
        if not self.takes_mail or any(self.environ.get(name) for name in names):
            return {}
        certificates = Certificates(self.directory.tls)
        return dict(zip(names, map(str, (certificates.certificate, certificates.key)), strict=True))


def free_metrics_port() -> int:
    """Return the usual port of the API's metrics, or another one when it is taken."""
    return free_port() if port_answers(METRICS_PORT) else METRICS_PORT


def metrics_url(settings: Settings) -> str | None:
    """Return the URL of the API's metrics, None where it has none."""
    if not settings.metrics_port:
        return None
    host = f"[{settings.metrics_host}]" if ":" in settings.metrics_host else settings.metrics_host
    return f"http://{host}:{settings.metrics_port}/metrics"


def worker_settings(settings: Settings) -> Settings:
    """Return the settings for Ray's processes, without the keys of the API and of the dispatcher."""
    return msgspec.structs.replace(
        settings, token_key="", secret_keys="", stripe_secret_key=None, smtp_password=None
    )


def deploy_settings(settings: Settings) -> Settings:
    """Return the settings for the deploying program, which hands its keys to the dispatcher alone."""
    return msgspec.structs.replace(settings, token_key="", stripe_secret_key=None)


def mail_intake_settings(settings: Settings) -> Settings:
    """Return the settings for mail intake, which opens the secrets of workflows and signs nothing."""
    return msgspec.structs.replace(settings, token_key="", stripe_secret_key=None, smtp_password=None)


def _shares(cpus: int) -> dict[str, str]:
    """Return how many pages are read at once on this machine; the defaults fit two cores."""
    return {PREFIX + "READING_REPLICAS_MAX": str(max(2, cpus - 2))}
