"""An organization with rows in every table, and each of them in several states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias, get_args

from piccolo.columns import Text

from db.mail import ADMIN, set_mail_service
from db.statements import Connection
from db.tables import ALL_TABLES
from db.usage import WORKFLOW_METER_PREFIX
from pagemill.ids import PREFIXES, OrganizationId

State: TypeAlias = Literal["open", "failed", "ended", "waiting"]
STATES: tuple[State, ...] = get_args(State)

MONTH = "2026-01"
TIME = datetime(2026, 1, 1, tzinfo=UTC)
LIMITED = "models"
"""A meter of which nine tenths of the limit are used."""

# Columns of free text. All of them are marked, so that one that is returned to somebody else is seen.
MARKED = {
    *("name", "description", "given_name", "family_name", "picture", "locale", "url", "body", "message"),
    *("created_by", "updated_by", "claimed_by", "completed_by", "lease_owner", "state", "log_id"),
    *("content_key", "content_type", "content_md5", "key_id", "fingerprint", "secret_hash"),
    *("setup_intent_secret_hash", "stripe_setup_intent_id", "stripe_payment_method_id"),
    *("error", "error_class", "error_message"),
}

JOBS: dict[State, str] = {"open": "running", "failed": "failed", "ended": "succeeded", "waiting": "queued"}
TRAININGS: dict[State, str] = {
    "open": "preparing",
    "failed": "failed",
    "ended": "succeeded",
    "waiting": "waiting-for-approval",
}
OUTCOMES: dict[State, str] = {
    "open": "running",
    "failed": "failed",
    "ended": "succeeded",
    "waiting": "running",
}
USERS: dict[State, str] = {
    "open": "active",
    "failed": "invite_pending",
    "ended": "inactive",
    "waiting": "invite_pending",
}


WITHOUT_ORGANIZATION = {"organization", "profile", "password", "identity", "sign_in_session", "one_time_code"}


@dataclass(frozen=True, slots=True)
class FullOrganization:
    """An organization whose ids and texts all contain its marker."""

    marker: str
    organization_id: OrganizationId
    ids: dict[State, dict[str, str]] = field(default_factory=dict)
    """Ids of each state by the name of their type; those of one state belong together."""


async def add_full_organization(
    connection: Connection, marker: str, *, pages_used: int = 0
) -> FullOrganization:
    """Add an organization and its rows; of 100 pages it has used some."""
    organization = FullOrganization(marker, OrganizationId(f"las:organization:{marker}"))
    await set_mail_service(connection, available=True, daily_quota=1_000_000, stranger_interval=1e9)
    seed = _Seed(connection, organization)
    await seed.organization_itself(pages_used)
    for state in STATES:
        await seed.state(state)
    await connection.execute(
        "UPDATE organization SET payment_method_id = $2 WHERE id = $1",
        organization.organization_id,
        organization.ids["open"]["PaymentMethodId"],
    )
    return organization


class _Seed:
    """The rows of one organization."""

    def __init__(self, connection: Connection, organization: FullOrganization) -> None:
        self.connection = connection
        self.organization = organization
        self.marker = organization.marker
        self.text_columns = {
            table._meta.tablename: {
                column._meta.db_column_name
                for column in table._meta.columns
                if isinstance(column, Text) and column._meta.db_column_name in MARKED
            }
            for table in ALL_TABLES
        }

    async def add(self, table: str, **values: Any) -> None:
        """Add a row; columns of free text that are not given are marked."""
        if table not in WITHOUT_ORGANIZATION:
            values = {"organization_id": self.organization.organization_id, **values}
        for column in self.text_columns[table] - values.keys():
            values[column] = f"{self.marker} {column}"
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        await self.connection.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", *values.values()
        )

    async def organization_itself(self, pages_used: int) -> None:
        plan_id = f"las:plan:{self.marker}:1"
        await self.add("organization", id=self.organization.organization_id, plan_id=plan_id)
        await self.add(
            "plan", id=plan_id, slug=f"las:plan:{self.marker}", version=1, allowed={LIMITED: 10, "pages": 100}
        )
        await self.add("usage_counter", month="total", meter=LIMITED, used=9)
        await self.add("usage_counter", month=MONTH, meter="pages", used=pages_used)
        await self.add("limit_warning", month=MONTH, meter="pages", threshold=80)
        await self.add("month_statement", month=MONTH, content={"marker": self.marker})
        await self.add("request_allowance", tokens=1.0, refilled_time=TIME)

    async def state(self, state: State) -> None:
        ids = {
            id_type.__name__: f"las:{prefix}:{self.marker}-{state}"  # type: ignore[attr-defined]
            for id_type, prefix in PREFIXES.items()
        }
        ids |= {
            "OrganizationId": self.organization.organization_id,
            "PlanId": f"las:plan:{self.marker}:1",
            "JobId": f"{self.marker}-job-{state}",
            "SubjectId": ids["PredictionId"],
            "PrincipalId": ids["UserId"],
            "RoleId": ADMIN,
            "DeploymentEnvironmentId": f"las:deployment-environment:{self.marker}-{state}",
            "WebhookDeliveryId": f"las:webhook-delivery:{self.marker}-{state}",
        }
        self.organization.ids[state] = ids
        await self.people(state, ids)
        await self.vault(state, ids)
        await self.documents(state, ids)
        await self.models(state, ids)
        await self.workflows(state, ids)
        await self.steps_alone(state, ids)
        await self.work(state, ids)

    async def people(self, state: State, ids: Mapping[str, str]) -> None:
        await self.add("app_client", id=ids["AppClientId"], client_id=f"{self.marker}-{state}")
        email = email_of(self.organization, state)
        await self.add("profile", id=ids["ProfileId"], email=email)
        await self.add(
            "organization_user",
            id=ids["UserId"],
            email=email,
            profile_id=ids["ProfileId"],
            app_client_id=ids["AppClientId"],
            status=USERS[state],
            invitation_expires=TIME if state == "failed" else datetime.now(UTC) + timedelta(days=1),
            role_ids=[ADMIN],
        )
        await self.signing_in(state, ids, email)
        await self.add(
            "idempotency_key",
            principal_id=ids["UserId"],
            key=key_of(self.organization),
            status_code=None if state == "open" else 200,
            body=self.marker.encode(),
            named=[ids["DocumentId"]],
            created_time=TIME,
        )

    async def signing_in(self, state: State, ids: Mapping[str, str], email: str) -> None:
        """What the person of a state has signed in with, and what came of it."""
        of_profile = {"profile_id": ids["ProfileId"]}
        lasting = {"expires_time": datetime.now(UTC) + timedelta(days=1)}
        marked = f"{self.marker}-{state}"
        await self.add("password", **of_profile, hash=f"{marked} hash")
        await self.add("identity", **of_profile, issuer="https://id.example.com", subject=marked)
        await self.add("sign_in_session", **of_profile, **lasting, id_hash=f"{marked} session")
        code = {"id": f"{marked} one", "purpose": "verify", "email": email}
        await self.add("one_time_code", **of_profile, **lasting, **code)
        of_user = {
            "user_id": ids["UserId"],
            "app_client_id": ids["AppClientId"],
            "session_id_hash": f"{marked} session",
        }
        await self.add(
            "authorization_code",
            **of_user,
            **lasting,
            code_hash=code_hash_of(self.organization, state),
            redirect_uri=f"https://{self.marker}.example.com",
        )
        await self.add("token_grant", **of_user, **lasting, id=ids["GrantId"])
        await self.add(
            "refresh_token",
            **lasting,
            grant_id=ids["GrantId"],
            token_hash=token_hash_of(self.organization, state),
        )
        await self.add("audit_event", **of_profile, id=f"{marked} event", action="signed-in", time=TIME)

    async def vault(self, state: State, ids: Mapping[str, str]) -> None:
        sealed = {"nonce": self.marker.encode(), "ciphertext": self.marker.encode()}
        await self.add("asset", id=ids["AssetId"])
        await self.add("secret", id=ids["SecretId"], **sealed)
        await self.add("payment_method", id=ids["PaymentMethodId"], details={"brand": self.marker})
        await self.add("deployment_environment", id=ids["DeploymentEnvironmentId"], status="available")
        status = "enabled" if state == "open" else "disabled"
        await self.add(
            "webhook", id=ids["WebhookId"], event_types=["prediction.failed"], status=status, **sealed
        )
        await self.add(
            "webhook_delivery",
            id=ids["WebhookDeliveryId"],
            webhook_id=ids["WebhookId"],
            event_type="prediction.failed",
            status="pending" if state in ("open", "waiting") else OUTCOMES[state],
            created_time=TIME,
        )
        await self.add(
            "webhook_attempt",
            id=ids["WebhookAttemptId"],
            webhook_id=ids["WebhookId"],
            delivery_id=ids["WebhookDeliveryId"],
            job_id=ids["JobId"],
        )

    async def documents(self, state: State, ids: Mapping[str, str]) -> None:
        await self.add(
            "dataset",
            id=ids["DatasetId"],
            metadata={"marker": self.marker},
            number_of_documents=2,
            ground_truth_summary={f"{self.marker} label": 1},
        )
        for number, suffix in enumerate(("", "-copy")):
            await self.add(
                "document",
                id=ids["DocumentId"] + suffix,
                dataset_id=ids["DatasetId"],
                consent_id=ids["ConsentId"],
                ground_truth=[{"label": "total", "value": self.marker}],
                content_size=10,
                retention_in_days=1 if state == "ended" else 18250,
                created_time=TIME + timedelta(seconds=number),
            )
        for erased_id in (ids["DocumentId"], ids["PredictionId"]):
            await self.add(
                "erased_resource",
                id=erased_id,
                consent_id=ids["ConsentId"],
                erased_time=TIME - timedelta(days=1),
            )
        await self.add(
            "transformation", id=ids["TransformationId"], dataset_id=ids["DatasetId"], status=OUTCOMES[state]
        )

    async def models(self, state: State, ids: Mapping[str, str]) -> None:
        of_model = {"model_id": ids["ModelId"]}
        await self.add(
            "model",
            id=ids["ModelId"],
            field_config={self.marker: {"type": "amount"}},
            training_id=ids["TrainingId"],
        )
        await self.add(
            "data_bundle",
            **of_model,
            id=ids["DataBundleId"],
            datasets=[{"datasetId": ids["DatasetId"]}],
            summary={"marker": self.marker},
            status=OUTCOMES[state],
            object_key=f"{self.marker} object",
            retention_in_days=1 if state == "ended" else 18250,
            created_time=TIME,
        )
        await self.add(
            "training",
            **of_model,
            id=ids["TrainingId"],
            created_by=ids["UserId"],
            data_bundle_ids=[ids["DataBundleId"]],
            evaluation={"marker": self.marker},
            artefact_key=f"{self.marker} artefact",
            status=TRAININGS[state],
        )
        await self.add(
            "prediction",
            **of_model,
            id=ids["PredictionId"],
            document_id=ids["DocumentId"],
            model_reference=ids["ModelId"],
            training_id=ids["TrainingId"],
            predictions=[{"label": "total", "value": self.marker}],
            created_by=ids["PrincipalId"],
            status="pending" if state in ("open", "waiting") else OUTCOMES[state],
        )

    async def workflows(self, state: State, ids: Mapping[str, str]) -> None:
        await self.add(
            "transition",
            id=ids["TransitionId"],
            transition_type="manual",
            timeout_in_seconds=600,
            parameters={"assets": {"form": ids["AssetId"]}, "secretId": ids["SecretId"]},
        )
        await self.add(
            "workflow",
            id=ids["WorkflowId"],
            definition={"States": {"Review": {"Type": "Task", "Resource": ids["TransitionId"]}}},
            error_config={"email": f"{self.marker}@example.com"},
            email_config={"email": email_of(self.organization, state)},
            status="development",
        )
        await self.add(
            "workflow_mail",
            workflow_id=ids["WorkflowId"],
            message_key=message_key_of(self.organization),
            message_id=f"<{self.marker}@example.com>",
            origin=f"{self.marker}@example.com",
            outcome="started" if state == "ended" else "refused",
            detail=f"{self.marker} detail",
            received_time=TIME,
        )
        of_execution = {
            "workflow_id": ids["WorkflowId"],
            "workflow_execution_id": ids["WorkflowExecutionId"],
            "transition_id": ids["TransitionId"],
            "transition_execution_id": ids["TransitionExecutionId"],
        }
        counter = {"month": MONTH, "meter": WORKFLOW_METER_PREFIX + ids["WorkflowId"]}
        await self.add("usage_counter", **counter, used=3)
        await self.add("log", id=ids["LogId"], **of_execution)
        await self.add("log_event", log_id=ids["LogId"])
        await self.add(
            "container_credential", id=f"{self.marker}-container-{state}", subject_id=ids["SubjectId"]
        )
        await self.add(
            "workflow_execution",
            id=ids["WorkflowExecutionId"],
            workflow_id=ids["WorkflowId"],
            input={"marker": self.marker},
            events=[{"marker": self.marker}],
            status=OUTCOMES[state],
            end_time=TIME if state in ("failed", "ended") else None,
        )
        await self.add(
            "transition_execution",
            id=ids["TransitionExecutionId"],
            transition_id=ids["TransitionId"],
            workflow_execution_id=ids["WorkflowExecutionId"],
            input={"marker": self.marker},
            status=OUTCOMES[state],
            claimed_by=None if state == "waiting" else ids["UserId"],
            expires=datetime.now(UTC) + timedelta(days=1) if state == "open" else None,
            start_time=None if state == "waiting" else TIME,
            end_time=TIME if state in ("failed", "ended") else None,
        )

    async def steps_alone(self, state: State, ids: Mapping[str, str]) -> None:
        """An execution of a transition that belongs to no workflow."""
        await self.add(
            "transition_execution",
            id=alone_of(ids["TransitionExecutionId"]),
            transition_id=ids["TransitionId"],
            input={"marker": self.marker},
            status=OUTCOMES[state],
        )

    async def work(self, state: State, ids: Mapping[str, str]) -> None:
        await self.add(
            "job",
            id=f"{self.marker}-mail-{state}",
            kind="mail",
            subject_id=f"{self.marker}-mail-{state}",
            state="succeeded",
            payload={"to": email_of(self.organization, state)},
        )
        await self.add(
            "job",
            id=ids["JobId"],
            kind="prediction",
            subject_id=ids["SubjectId"],
            state=JOBS[state],
            attempt=1,
            payload={"marker": self.marker},
            lease_expires=datetime.now(UTC) + timedelta(hours=1) if state == "open" else None,
            ended_time=TIME if state in ("failed", "ended") else None,
        )
        await self.add("usage_reservation", job_id=ids["JobId"], month=MONTH, meter="pages", amount=1)
        if state == "waiting":
            for subject in ("TransitionExecutionId", "WorkflowExecutionId"):
                timer = {"kind": "workflow-timer", "state": "queued", "subject_id": ids[subject]}
                await self.add("job", id=f"{ids['JobId']} of {subject}", **timer)


def alone_of(execution_id: str) -> str:
    """The id of the step that belongs to no workflow, beside that of one that does."""
    return f"{execution_id}-alone"


def email_of(organization: FullOrganization, state: State) -> str:
    """Return the address of the organization's user in a state."""
    return f"{organization.marker}-{state}@example.com"


def message_key_of(organization: FullOrganization) -> str:
    """Return what tells a mail from others that each workflow of the organization was sent."""
    return f"{organization.marker} mail"


def code_hash_of(organization: FullOrganization, state: State) -> str:
    """Return the hash of an authorization code of the organization's user in a state."""
    return f"{organization.marker}-{state} code"


def token_hash_of(organization: FullOrganization, state: State) -> str:
    """Return the hash of a refresh token of the organization's user in a state."""
    return f"{organization.marker}-{state} token"


def key_of(organization: FullOrganization) -> str:
    """Return the idempotency key that each user of the organization has used."""
    return f"{organization.marker} key"


async def snapshot(connection: Connection, organization: FullOrganization) -> Counter[str]:
    """Return all rows of an organization, whatever their order."""
    return Counter(
        await connection.fetchval(SNAPSHOT, organization.organization_id, f"%:{organization.marker}-%")
    )


def _snapshot_of(table: str, columns: set[str]) -> str:
    if table == "profile":
        where = "row.id LIKE $2"
    elif table in WITHOUT_ORGANIZATION - {"organization"}:
        where = "row.profile_id LIKE $2"
    else:
        where = f"row.{'organization_id' if 'organization_id' in columns else 'id'} = $1"
    return f"SELECT '{table} ' || row::text FROM {table} AS row WHERE {where}"


# Roles, dispatchers, signing keys and the mail service are nobody's.
SNAPSHOT = "SELECT ARRAY({})".format(
    " UNION ALL ".join(
        _snapshot_of(
            table._meta.tablename,
            {column._meta.db_column_name for column in table._meta.columns},
        )
        for table in ALL_TABLES
        if table._meta.tablename not in ("role", "dispatcher", "signing_key", "mail_service")
    )
)
