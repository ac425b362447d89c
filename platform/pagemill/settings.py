"""Settings of Pagemill in one frozen struct, read from ``PAGEMILL_*`` by the composition roots only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from pagemill.errors import PagemillError

PREFIX = "PAGEMILL_"

LONGEST_INTERVAL = 6 * 86400.0
"""Ended jobs are forgotten after a week: a scheduled one would be queued again while its time is not over."""
Interval: TypeAlias = Annotated[float, Meta(ge=0, le=LONGEST_INTERVAL)]

Gigabytes: TypeAlias = Annotated[float, Meta(ge=0, le=4096)]

SCRIPTS = "Arabic|Cyrillic|Devanagari|Greek|Hangul|Hebrew|Thai"

SECRET = (
    "database_url",
    "token_key",
    "secret_keys",
    "stripe_secret_key",
    "s3_secret_access_key",
    "smtp_password",
)
"""Settings that are not shown in logs and failing tests."""


class SettingsError(PagemillError):
    """A ``PAGEMILL_*`` variable is missing or has a value that cannot be used."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. Each field ``name`` is read from ``PAGEMILL_NAME``; durations are in seconds."""

    database_url: str
    """postgresql:// URL of the database."""
    objects_url: str
    """``file:///directory`` or ``s3://bucket/prefix``."""
    token_key: str = ""
    """Key (>= 32 characters) of answers that are kept for repeated requests, and of refresh tokens: the same
    for all API processes, needed by no other. Access tokens of the former release are signed with it."""
    secret_keys: str = ""
    """``keyId:base64 of 32 bytes``, separated by commas. The first key encrypts, all of them decrypt."""
    stripe_secret_key: str | None = None
    """Lets Stripe take cards, with ``stripe_publishable_key``; without them, payment methods are manual."""
    stripe_publishable_key: str | None = None
    """Stripe's other key, which browsers are given."""
    stripe_api_base: str = "https://api.stripe.com"
    """URL of Stripe's API."""
    public_url: str = "https://localhost:8443"
    """Scheme, host and port under which clients reach the API; fileUrl is built from it."""
    s3_endpoint_url: str | None = None
    """URL of an S3 server; unset: Amazon's."""
    s3_access_key_id: str | None = None
    """Access key of the bucket; unset: what the machine offers, such as a role."""
    s3_secret_access_key: str | None = None
    """Secret of the access key."""
    s3_region: str = "us-east-1"
    """Region of the bucket."""
    ray_address: str | None = None
    """``host:port`` of the Ray head that the apps are deployed to."""
    ray_namespace: str = "pagemill"
    """Namespace of Ray that actors have their names in; two installations on one cluster need two."""
    database_pool_size: int = 10
    """Connections to the database that one process of the API, or one dispatcher, opens at most."""
    token_lifetime: int = 3600
    """Time for which an access token is valid."""
    refresh_token_lifetime: Annotated[int, Meta(gt=0)] = 30 * 86400
    """Time after a sign-in for which an app client gets new access tokens without another one."""
    session_lifetime: Annotated[int, Meta(gt=0)] = 12 * 3600
    """Time for which a browser stays signed in."""
    signing_key_lifetime: Annotated[int, Meta(gt=0)] = 30 * 86400
    """Age at which the key that signs access tokens gets a successor."""
    sign_in_app_clients: str = ""
    """Client ids, separated by commas, of app clients through which people may sign in to any of their
    organizations; through another one, to the organization that it belongs to."""
    request_rate: float = 200.0
    """Requests a second that an organization may send, to all API processes together; 0: no limit."""
    request_burst: int = 0
    """Requests that an organization may send in a burst; 0: twice its rate."""
    token_rate: Annotated[float, Meta(ge=0)] = 20.0
    """Access tokens a second that one client may ask for from one address, and ten times as many in a burst;
    all clients of one address have ten times that. 0: no limit. Each API process counts for itself."""
    trusted_proxies: str = ""
    """Networks of the proxies in front of the API, as ``10.0.0.0/8``, separated by commas: what they say in
    X-Forwarded-For is the address of a client. Without them it is that of the connection."""
    address_connections: Annotated[int, Meta(ge=16, le=2000)] = 1024
    """Most connections of one address to one API process, but for those of trusted proxies."""
    request_body_wait: Annotated[float, Meta(gt=0)] = 20.0
    """Time in which the body of a request has to come, beside that for its length."""
    request_body_rate: Annotated[float, Meta(gt=0)] = 8192.0
    """Bytes a second that a body has to come with after that, on average."""
    prediction_wait: float = 60.0
    """Longest wait for a synchronous prediction; then the answer is 503, and the prediction goes on."""
    prediction_queue_wait_max: Annotated[float, Meta(ge=0)] = 0.0
    """Longest wait in the queue: a prediction that would wait longer is refused with 503; 0: no limit."""
    job_lease: float = 20.0
    """Time without a heartbeat after which another dispatcher takes over a job."""
    job_heartbeat: float = 5.0
    """Interval in which a dispatcher renews the leases of its jobs, and announces itself."""
    job_poll: float = 5.0
    """Interval in which the dispatcher looks for jobs without a notification, which can be lost."""
    reading_replicas_min: Annotated[int, Meta(ge=0)] = 1
    """Replicas that stay when nothing waits; 0: the first page waits for one to start."""
    reading_replicas_max: int = 2
    """Most replicas that read pages; `pagemill up` takes two less than there are processors, at least two."""
    prediction_replicas_min: Annotated[int, Meta(ge=0)] = 1
    """As for reading; 0 lets the nodes with GPUs go."""
    prediction_replicas_max: int = 2
    """Most replicas that find fields."""
    replicas_down_delay: Annotated[float, Meta(ge=0)] = 120.0
    """For so long fewer replicas have to be enough before some are stopped."""
    gpu_per_prediction_replica: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Part of a GPU that one prediction replica takes, in place of CPUs; so several share one."""
    gpu_per_reading_replica: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Part of a GPU that one reading replica takes, in place of CPUs."""
    reading_memory: Gigabytes = 0.0
    """GiB of its node's memory that one reading replica reserves; 0: none."""
    prediction_memory: Gigabytes = 0.0
    """GiB of its node's memory that one prediction replica reserves; 0: none."""
    training_memory: Gigabytes = 0.0
    """GiB of its node's memory that one training worker reserves; 0: none."""
    driver_memory: Gigabytes = 0.0
    """GiB of the head's memory that each training and data bundle reserves, besides its workers; 0: none."""
    reading_cpus: float = 0.4
    """CPUs of one reading replica; the defaults leave one of two CPUs to a training."""
    reading_scripts: Annotated[str, Meta(pattern=rf"^(auto|none|({SCRIPTS})(,({SCRIPTS}))*)$(?!\n)")] = "auto"
    """Scripts that Tesseract reads, which has to be installed where pages are read, with its data for them.

    ``auto``: all whose data are installed; ``none``: it is not used; or some of Arabic, Cyrillic, Devanagari,
    Greek, Hangul, Hebrew and Thai, separated by commas: a replica where one is not installed does not start.
    """
    prediction_cpus: float = 0.1
    """CPUs of one prediction replica."""
    prediction_threads: int = 1
    """Threads of one prediction replica."""
    prediction_cache: Gigabytes = 0.0
    """GiB of models that one prediction replica holds, on a GPU of its memory; 0: half of prediction_memory,
    or 1 GiB without it."""
    prediction_loads: Annotated[int, Meta(ge=1)] = 2
    """Models that one prediction replica loads at a time."""
    prediction_files: Annotated[float, Meta(gt=0, le=4096)] = 4.0
    """GiB of models that the prediction replicas of one node keep as files."""
    prediction_files_directory: str = ""
    """Directory of these files, which nobody else may enter; without it, one for temporary files."""
    prediction_model_age: Annotated[float, Meta(gt=0)] = 86400.0
    """Longest time that a node keeps a model: one that was deleted is gone from all of them then."""
    training_workers: Annotated[int, Meta(ge=1)] = 1
    """Workers of a training of instance type small-gpu; medium-gpu has twice, large-gpu four times that.

    Without GPUs one for each node at most, but these in any case.
    """
    training_workers_max: Annotated[int, Meta(ge=1)] = 4
    """Most workers of one training."""
    training_gpu: bool | None = None
    """Train on GPUs: each worker takes one, and no CPUs. Unset: where one is there when a training begins."""
    training_node_wait: Annotated[float, Meta(ge=0)] = 3600.0
    """Longest time without any node that could run a worker; then a training fails. 0: it waits for ever."""
    training_cpus: float = 1.0
    """CPUs of one training worker."""
    training_threads: int = 2
    """Threads of one training worker."""
    training_budget: float = 420.0
    """Time limit for all epochs of one training."""
    training_folds: Annotated[int, Meta(ge=0, le=10)] = 0
    """Folds of documents, by their issuers, that a training is evaluated and calibrated by before it learns
    from all. With less than 2 it holds out 15 % of the documents once."""
    training_pages_per_document: int = 30
    """Most pages of a document that go into a data bundle, and so into trainings."""
    dispatchers: Annotated[int, Meta(ge=1, le=64)] = 1
    """Dispatchers of predictions and transformations, a process each; they divide what one would run."""
    prediction_concurrency: int = 32
    """Prediction jobs that run at a time at least; more where many reading replicas run."""
    data_bundle_concurrency: int = 2
    """Data bundles that are made at a time."""
    training_concurrency: int = 1
    """Trainings that run at a time; others wait in the queue."""
    transformation_concurrency: int = 2
    """Transformations of datasets that run at a time."""
    sandbox: Literal["best-effort", "required"] = "best-effort"
    """Walls around what parses documents and mail: those that the kernel has, or no document is read and no
    mail taken where it lacks seccomp or Landlock."""
    thumbnail_concurrency: int = 2
    """Thumbnails that one API process renders at a time."""
    retention_interval: Interval = 3600.0
    """Interval of the deletion of expired documents and data bundles; 0: never."""
    audit_retention: Annotated[float, Meta(ge=86400)] = 400 * 86400.0
    """Time for which it is known who did what; at least a day."""
    audit_retention_interval: Interval = 86400.0
    """Interval of the deletion of older events of the audit; 0: never."""
    erasure_interval: Interval = 3600.0
    """Interval of the search for values of documents that are gone, in what was under way then; 0: never."""
    erasure_patience: Annotated[float, Meta(ge=0)] = 7 * 86400.0
    """Seconds after the deletion of its document in which an execution may come to its end."""
    object_sweep_interval: Interval = 86400.0
    """Interval of the sweep of objects that no row names; 0: never."""
    month_statement_interval: Interval = 3600.0
    """Interval of the search for ended months without a statement; 0: never."""
    object_grace: Annotated[float, Meta(ge=0)] = 86400.0
    """Age from which an object without a row is deleted; a younger one may be part of a running upload."""
    usage_counters: int = 1
    """Number of usage counter actors; each counts for a share of the organizations."""
    training_checkpoint_interval: float = 15.0
    """Interval of checkpoints: the work that a training loses with its worker."""
    sign_up: bool = False
    """Let anybody who proves an e-mail address make an account and an organization of its own."""
    sign_in_tries: Annotated[int, Meta(ge=0, le=100_000)] = 20
    """Tries to sign in, in ten minutes, with one account from one address; ten times as many from one
    address, and with one account. 0: no limit. Each API process counts for itself."""
    password_concurrency: Annotated[int, Meta(ge=1, le=64)] = 2
    """Passwords that one API process hashes at a time; each takes 64 MiB and a tenth of a second."""
    openid_providers: str = ""
    """OpenID providers with which people may sign in: a JSON list, or the path of a file with one. Each has
    ``name``, ``title``, ``issuer``, ``clientId``, ``clientSecretFile`` and perhaps ``domains``."""
    openid_private_providers: bool = False
    """Allow providers on this machine and in private networks, and by http on localhost."""
    mail_domain: Annotated[str, Meta(pattern=r"^[-_.A-Za-z0-9]{1,200}\.[A-Za-z]{2,}$")] = (
        "localhost.localdomain"
    )
    """Domain of new addresses whose mail starts workflows; those that workflows have already stay valid."""
    mail_intake_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """Port on which mail to workflows is taken; 0: none is."""
    mail_intake_host: str = "127.0.0.1"
    """Address that this port listens on."""
    mail_intake_certificate: str = ""
    """File with the certificate chain (PEM) for STARTTLS; `pagemill up` has its own. Without one, mail comes
    unencrypted."""
    mail_intake_key: str = ""
    """File with the key of this certificate."""
    mail_intake_size: Annotated[float, Meta(gt=0, le=64)] = 36.0
    """MiB of the largest mail that is taken: 25 MB of attachments, as they are encoded."""
    mail_intake_connections: Annotated[int, Meta(ge=2, le=1000)] = 32
    """Connections that are open at a time; half of them from one address."""
    mail_authentication: Literal["off", "record", "enforce"] = "record"
    """Use of SPF and DKIM: nothing; put into the input of executions; mail is refused unless one
    of them proves the domain of its sender."""
    smtp_host: str | None = None
    """Mail server. Without one, no mail is queued."""
    smtp_port: Annotated[int, Meta(ge=1, le=65535)] = 587
    """Port of the mail server."""
    smtp_username: str | None = None
    """User name for the mail server; unset: it asks for none."""
    smtp_password: str | None = None
    """Password for the mail server; only the dispatcher that sends mail gets it."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """Encryption of the connection; with ``none``, mail and password can be read on the way."""
    mail_sender: Annotated[
        str, Meta(pattern=r"^(|[-+._A-Za-z0-9]+@[-_.A-Za-z0-9]+)$(?!\n)", max_length=254)
    ] = ""
    """Sender of mail; required with ``smtp_host``."""
    mail_quota: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 500
    """Messages that an organization may send a day (UTC): invitations, and mail on trainings, limits and
    failed executions. All people who sign up together are sent as many codes a day."""
    mail_stranger_interval: Annotated[float, Meta(ge=0, le=LONGEST_INTERVAL)] = 3600.0
    """Least time between two messages of an organization to an address that no active user of it has."""
    limit_warning_interval: Interval = 300.0
    """Interval of the search for organizations close to a limit of their plan; 0: never."""
    webhook_concurrency: int = 16
    """Webhook deliveries that are made at a time."""
    webhook_private_targets: bool = False
    """Allow webhooks to this machine and to private networks, and by http to localhost."""
    workflows_dispatcher: bool = True
    """Run steps of workflows in a dispatcher of their own; without it, that of housekeeping runs them, as
    with `pagemill up`."""
    functions_file: str = ""
    """Path, from the root on, of the TOML file that maps lambda transitions to Python functions; it lies on
    the node of the dispatchers."""
    function_concurrency: Annotated[int, Meta(ge=1)] = 8
    """Functions that run at a time, each in a process of its own."""
    function_memory: Annotated[float, Meta(gt=0, le=4096)] = 1.0
    """GiB of address space that one function may use."""
    step_images: Annotated[str, Meta(pattern=r"^([^=,\s]+=[^=,\s]+(,[^=,\s]+=[^=,\s]+)*)?$(?!\n)")] = ""
    """Images that containers run in place of those that transitions name: ``name=image``, separated by
    commas. A name without a tag stands for all of its tags."""
    container_engine_url: Annotated[
        str,
        Meta(
            pattern=r"^((unix:///|tcp://|https?://)[^\s]+|kubernetes://[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$(?!\n)",
            max_length=2048,
        ),
    ] = ""
    """Docker-compatible engine of docker transitions, as ``unix:///run/podman/podman.sock``, whose users are
    root on its machine; or ``kubernetes://NAMESPACE``: a Job there for each container. Without one they fail.
    """
    container_concurrency: Annotated[int, Meta(ge=1, le=1000)] = 4
    """Containers of steps that run at a time, and as many of completed tasks."""
    container_network: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][-_.A-Za-z0-9]{0,127}$(?!\n)")] = "pagemill"
    """Network of containers; one that is missing is made, without a way out of the engine's machine."""
    container_api_url: Annotated[str, Meta(pattern=r"^(https?://[^\s@/?#]+)?$(?!\n)", max_length=2048)] = ""
    """URL of the API as containers reach it, as ``https://pagemill.example.com``; without it ``public_url``,
    of which localhost becomes ``pagemill.localhost``: the engine's machine as seen from the network."""
    container_ca_file: Annotated[str, Meta(pattern=r"^(/[^:\s]+)?$(?!\n)")] = ""
    """PEM file of the authority that containers trust, which is mounted into them: on the engine's machine,
    with Kubernetes on that of the dispatchers."""
    container_processes: Annotated[int, Meta(ge=1)] = 256
    """Processes and threads that a container may have."""
    container_temporary: Annotated[int, Meta(ge=1)] = 64
    """MiB of a container's /tmp, all that it can write; they count as its memory."""
    container_ulimits: Annotated[
        str, Meta(pattern=r"^([a-z]+=[0-9]+(:[0-9]+)?(,[a-z]+=[0-9]+(:[0-9]+)?)*)?$(?!\n)")
    ] = "nofile=1024:4096"
    """Limits of each process in a container, as ``name=soft:hard``, separated by commas."""
    container_user_namespace: Annotated[str, Meta(pattern=r"^[-_=:,.A-Za-z0-9]*$(?!\n)")] = ""
    """User namespace of containers, in the engine's words; with Podman ``auto`` gives each its own."""
    container_pull_time: Annotated[float, Meta(ge=1, le=86400)] = 600.0
    """Longest time that an engine of Docker's kind pulls an image, whatever its registry sends."""
    container_grace: Annotated[float, Meta(ge=1, le=600)] = 10.0
    """Time between SIGTERM and SIGKILL when a container is stopped."""
    development_workflow_executions: int = 100
    """Executions a month that a workflow may start while its status is development."""
    new_organization_plan: str = "las:plan:self-hosted"
    """Plan, in its newest version, of organizations that users create."""
    metrics_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """Port on which the API has its metrics for Prometheus, at /metrics and without TLS; 0: none."""
    metrics_host: str = "127.0.0.1"
    """Address that this port listens on."""
    metrics_directory: str = ""
    """Directory in which the API processes of one machine count together, and which nobody else may enter;
    without it, one for temporary files."""
    log_level: str = "INFO"
    """Least level of the lines that are logged: DEBUG, INFO, WARNING or ERROR."""
    traces_url: Annotated[
        str, Meta(pattern=r"^(https?://[^\s@/?#]+(/[^\s?#]*)?)?$(?!\n)", max_length=2048)
    ] = ""
    """OTLP/HTTP collector of traces, as ``http://localhost:4318``; without one, nothing is traced."""
    traces_share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """Share of the requests that are traced."""
    traces_client_rate: Annotated[float, Meta(ge=0)] = 1.0
    """Requests a second, of one API process, that are traced beside that because their clients ask for it."""

    @property
    def reading_threads(self) -> int:
        """Threads of one reading replica that recognise text."""
        return max(1, math.ceil(self.reading_cpus))

    def __repr__(self) -> str:
        shown = (
            f"{name}={'...' if name in SECRET and value else repr(value)}"
            for name, value in msgspec.structs.asdict(self).items()
        )
        return f"Settings({', '.join(shown)})"

    def __post_init__(self) -> None:
        if self.smtp_host is not None and not self.mail_sender:
            raise ValueError("mail_sender: is needed with smtp_host")
        if bool(self.mail_intake_certificate) != bool(self.mail_intake_key):
            raise ValueError("mail_intake_certificate and mail_intake_key: one needs the other")


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
