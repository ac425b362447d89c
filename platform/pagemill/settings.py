"""Settings of Pagemill in one frozen struct, read from ``PAGEMILL_*`` by the composition roots only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from pagemill.errors import PagemillError

PREFIX = "PAGEMILL_"

LONGEST_INTERVAL = 6 * 86400.0
"""Ended jobs are forgotten after a week: a scheduled one would be queued again while its time is not over."""
Interval: TypeAlias = Annotated[float, Meta(ge=0, le=LONGEST_INTERVAL)]


SECRET = (
    "database_url",
    "token_key",
    "secret_keys",
    "stripe_secret_key",
    "s3_secret_access_key",
    "smtp_password",
)
"""What is not shown where settings are written, in a log or a failing test."""


class SettingsError(PagemillError):
    """A ``PAGEMILL_*`` variable is missing or has a value that cannot be used."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. Each field ``name`` is read from ``PAGEMILL_NAME``; durations are in seconds."""

    database_url: str
    """postgresql:// URL of the database."""
    objects_url: str
    """``file:///directory`` or ``s3://bucket/prefix``."""
    token_key: str = ""
    """Key (>= 32 characters) that signs access tokens: the same for all API processes, needed by no other."""
    secret_keys: str = ""
    """``keyId:base64 of 32 bytes``, separated by commas: the first one seals secrets, all of them open."""
    stripe_secret_key: str | None = None
    """With ``stripe_publishable_key``, Stripe takes cards; without, payment methods are manual."""
    stripe_publishable_key: str | None = None
    stripe_api_base: str = "https://api.stripe.com"
    public_url: str = "https://localhost:8443"
    """Scheme, host and port under which clients reach the API; fileUrl is built from it."""
    s3_endpoint_url: str | None = None
    s3_access_key_id: str | None = None
    s3_secret_access_key: str | None = None
    s3_region: str = "us-east-1"
    ray_address: str | None = None
    """``host:port`` of the Ray head that the apps are deployed to."""
    ray_namespace: str = "pagemill"
    database_pool_size: int = 10
    token_lifetime: int = 3600
    request_rate: float = 0.0
    """How many requests a second an organization may send to all API processes together; 0: any number."""
    request_burst: int = 0
    """How many requests an organization that was quiet may send at once; 0: twice its rate."""
    prediction_wait: float = 60.0
    """How long a synchronous prediction waits for its outcome before it answers 503 and goes on alone."""
    prediction_queue_wait_max: Annotated[float, Meta(ge=0)] = 0.0
    """A prediction that would wait longer for its turn is answered 503 and not taken; 0: all are taken."""
    job_lease: float = 20.0
    """A job whose lease is not renewed for so long is taken over by another worker."""
    job_heartbeat: float = 5.0
    job_poll: float = 5.0
    """How often the dispatcher looks for jobs when no notification came (a notification can be lost)."""
    reading_replicas_max: int = 2
    prediction_replicas_max: int = 2
    gpu_per_prediction_replica: float = 0.0
    reading_cpus: float = 0.4
    """What one reading replica takes of Ray's CPUs; the defaults leave one of two CPUs to a training."""
    prediction_cpus: float = 0.1
    prediction_threads: int = 1
    """How many threads a prediction replica computes with."""
    training_workers: int = 1
    training_gpu: bool = False
    training_cpus: float = 1.0
    """What one training worker takes of Ray's CPUs."""
    training_threads: int = 2
    """How many threads a training worker computes with."""
    training_budget: float = 420.0
    """How long the epochs of one training may take."""
    training_pages_per_document: int = 30
    predictions_at_once: int = 32
    """How many prediction jobs run at once; the apps bound what they read and predict of them."""
    data_bundles_at_once: int = 2
    trainings_at_once: int = 1
    transformations_at_once: int = 2
    thumbnails_at_once: int = 2
    """How many thumbnails one API process renders at a time."""
    retention_interval: Interval = 3600.0
    """How often documents and data bundles that are due are removed; 0: never."""
    object_sweep_interval: Interval = 86400.0
    """How often objects that no row names are looked for and removed; 0: never."""
    month_statement_interval: Interval = 3600.0
    """How often it is looked whether a month has ended without its statement; 0: never."""
    object_grace: Annotated[float, Meta(ge=0)] = 86400.0
    """Objects without a row are left alone until they are so old: they may be on their way to one."""
    usage_counters: int = 1
    """How many usage counter actors share the organizations among them."""
    training_checkpoint_interval: float = 15.0
    """How much work of a training may be lost with its worker."""
    mail_domain: Annotated[str, Meta(pattern=r"^[-_.A-Za-z0-9]{1,200}\.[A-Za-z]{2,}$")] = (
        "localhost.localdomain"
    )
    """Mail to addresses of this domain starts workflows."""
    smtp_host: str | None = None
    """The server that takes mail for everybody. Without one no mail is queued at all."""
    smtp_port: Annotated[int, Meta(ge=1, le=65535)] = 587
    smtp_username: str | None = None
    smtp_password: str | None = None
    """Known to the dispatcher alone."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """``none`` sends mail, and the password, for everybody on the way to read."""
    mail_sender: Annotated[
        str, Meta(pattern=r"^(|[-+._A-Za-z0-9]+@[-_.A-Za-z0-9]+)$(?!\n)", max_length=254)
    ] = ""
    """The address that mail comes from; needed with ``smtp_host``."""
    limit_warning_interval: Interval = 300.0
    """How often organizations that come close to a limit of their plan are looked for; 0: never."""
    webhooks_at_once: int = 16
    """How many webhooks are told something at once."""
    webhook_private_targets: bool = False
    """Whether webhooks may lead to this machine and to private networks, and by http to localhost."""
    development_workflow_executions: int = 100
    """How many executions a month a workflow may start while its status is development."""
    new_organization_plan: str = "las:plan:self-hosted"
    """The plan, in its newest version, of organizations that users create."""
    log_level: str = "INFO"

    def __repr__(self) -> str:
        shown = (
            f"{name}={'...' if name in SECRET and value else repr(value)}"
            for name, value in msgspec.structs.asdict(self).items()
        )
        return f"Settings({', '.join(shown)})"

    def __post_init__(self) -> None:
        if self.smtp_host is not None and not self.mail_sender:
            raise ValueError("mail_sender: is needed with smtp_host")


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read settings from ``environ``. Raises SettingsError naming the variable that is missing or wrong."""
    known = {field.name for field in msgspec.structs.fields(Settings)}
    values = {
        key.removeprefix(PREFIX).lower(): value
        for key, value in environ.items()
        if key.startswith(PREFIX) and key.removeprefix(PREFIX).lower() in known and value != ""
    }
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings ({PREFIX}*): {error}") from error


def to_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a child process with these settings: the inverse of load_settings."""
    return {
        PREFIX + name.upper(): str(value)
        for name, value in msgspec.structs.asdict(settings).items()
        if value is not None
    }
