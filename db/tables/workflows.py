"""Tables of workflows, their steps, executions and logs."""

from __future__ import annotations

from piccolo.columns import JSONB, BigInt, BigSerial, Integer, OnDelete, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from db.tables.foreign_key import foreign_key
from db.tables.organizations import Organization


class Transition(Table, tablename="transition"):
    """A step of workflows, or of its own: the work of a person or of a program."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    transition_type = Text(help_text="docker, manual, lambda")
    parameters = JSONB(default="{}")
    timeout_in_seconds = Integer()
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Workflow(Table, tablename="workflow"):
    """A workflow. ``definition`` is its state machine, which is never changed or shown."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    definition = JSONB()
    completed_config = JSONB(null=True, default=None)
    error_config = JSONB(null=True, default=None)
    email_config = JSONB(null=True, default=None)
    status = Text(default="development", help_text="development, production")
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class WorkflowExecution(Table, tablename="workflow_execution"):
    """A run of a workflow. ``machine`` says where it stands, ``state`` names the outermost state of that."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    workflow_id = foreign_key(Workflow, on_delete=OnDelete.cascade)
    input = JSONB(default="{}")
    output = JSONB(null=True, default=None)
    state = Text(null=True, default=None)
    status = Text(
        default="running", help_text="running, succeeded, failed, rejected, retry, error, completed"
    )
    events = JSONB(default="[]")
    completed_by = JSONB(default="[]")
    log_id = Text(null=True, default=None)
    completed_task_log_id = Text(null=True, default=None)
    created_by = Text(null=True, default=None)
    start_time = Timestamptz(default=TimestamptzNow())
    end_time = Timestamptz(null=True, default=None)
    machine = JSONB(null=True, default=None)


class WorkflowMail(Table, tablename="workflow_mail"):
    """A mail that came to a workflow's address, once for each Message-ID."""

    organization_id = foreign_key(Organization, primary_key=True)
    workflow_id = foreign_key(Workflow, primary_key=True, on_delete=OnDelete.cascade)
    message_key = Text(primary_key=True, help_text="sha256 of the Message-ID, or of a mail without one, hex")
    message_id = Text(null=True, default=None)
    origin = Text()
    outcome = Text(default="refused", help_text="started, ignored, refused")
    executions = Integer(default=0)
    detail = Text(null=True, default=None)
    received_time = Timestamptz(default=TimestamptzNow())


class TransitionExecution(Table, tablename="transition_execution"):
    """A run of a transition, alone or as a step. ``claimed_by`` is null while a manual one waits."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    transition_id = Text(help_text="one of the organization's, or one of all, which has no row")
    workflow_execution_id = foreign_key(WorkflowExecution, null=True, on_delete=OnDelete.cascade)
    state = Text(null=True, default=None, help_text="the state of the workflow that it is a step of")
    attempt = Integer(default=1, help_text="1 for the first run of the step, then each retry one more")
    input = JSONB(default="{}")
    output = JSONB(null=True, default=None)
    error = JSONB(null=True, default=None)
    status = Text(default="running", help_text="running, succeeded, failed, rejected, retry")
    claimed_by = Text(null=True, default=None)
    claimed_time = Timestamptz(null=True, default=None)
    former_claims = JSONB(default="[]", help_text="claims that have ended, oldest first")
    deferred_until = Timestamptz(null=True, default=None, help_text="it is not offered before")
    completed_by = Text(null=True, default=None)
    log_id = Text(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    start_time = Timestamptz(null=True, default=None)
    heartbeat_time = Timestamptz(null=True, default=None)
    expires = Timestamptz(null=True, default=None, help_text="it has timed out when it still runs then")
    end_time = Timestamptz(null=True, default=None)
    key = Text(null=True, default=None, help_text="what the machine of its workflow's execution calls it")
    timeout_in_seconds = Integer(null=True, default=None, help_text="from its start on")
    heartbeat_seconds = Integer(null=True, default=None, help_text="longest time between two heartbeats")
    running_since = Timestamptz(null=True, default=None, help_text="counted as production minutes")


class Log(Table, tablename="log"):
    """The output of an execution; its lines are rows of ``log_event``."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    workflow_id = Text(null=True, default=None)
    workflow_execution_id = Text(null=True, default=None)
    transition_id = Text(null=True, default=None)
    transition_execution_id = Text(null=True, default=None)
    start_time = Timestamptz(default=TimestamptzNow())
    output_lines = BigInt(default=0, help_text="lines of a container's output that have been taken")


class LogEvent(Table, tablename="log_event"):
    """A line of a log. ``id`` keeps lines of the same instant in their order."""

    id = BigSerial(primary_key=True)
    organization_id = foreign_key(Organization)
    log_id = foreign_key(Log, on_delete=OnDelete.cascade)
    time = Timestamptz(default=TimestamptzNow())
    message = Text()


class ContainerCredential(Table, tablename="container_credential"):
    """Credentials of a container; ``id`` is its OAuth client id, its principal is the subject."""

    id = Text(primary_key=True)
    organization_id = foreign_key(Organization)
    subject_id = Text(help_text="the execution that the container works for")
    secret_hash = Text()
    permissions = JSONB(default="[]")
    created_time = Timestamptz(default=TimestamptzNow())
