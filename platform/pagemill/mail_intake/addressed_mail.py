"""A mail for one workflow, and the record of what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, TypedDict

from db import workflow_mail as statements
from db.statements import Connection
from db.workflow_mail import MailOutcome
from db.workflows import WorkflowToStartRow
from pagemill.ids import OrganizationId, WorkflowId
from pagemill.mail_intake.mail import Delivery, Mail
from pagemill.mail_intake.refusals import AddressGivenUp, MailRefused

LONGEST_DETAIL = 2000
UNREAD = Mail(message_id=None, subject="", origin="", body="", documents=[], ignored=[])


class WorkflowNames(TypedDict):
    """Arguments of statements that name a workflow."""

    organization_id: OrganizationId
    workflow_id: WorkflowId


@dataclass(frozen=True, slots=True)
class Recipient:
    """A workflow, and the address by which a mail names it, in small letters."""

    organization_id: OrganizationId
    workflow_id: WorkflowId
    address: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Outcome of a mail for one workflow; ``detail`` is for the operator."""

    outcome: MailOutcome
    executions: int = 0
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class AddressedMail:
    """A mail for one workflow; ``key`` tells it from others."""

    recipient: Recipient
    mail: Mail
    key: str

    @property
    def names(self) -> WorkflowNames:
        """Return the arguments that name the workflow."""
        return {
            "organization_id": self.recipient.organization_id,
            "workflow_id": self.recipient.workflow_id,
        }

    async def configuration(self, connection: Connection) -> dict[str, Any]:
        """Return the workflow's configuration for mail. Raises AddressGivenUp."""
        config = await statements.get_email_config(connection, **self.names, address=self.recipient.address)
        if config is None:
            raise AddressGivenUp
        return config

    async def keep_workflow(self, connection: Connection) -> WorkflowToStartRow:
        """Return the workflow, and keep it until the transaction ends. Raises AddressGivenUp."""
        workflow = await statements.keep_mailed_workflow(
            connection, **self.names, address=self.recipient.address
        )
        if workflow is None:
            raise AddressGivenUp
        return workflow

    async def has_started(self, connection: Connection) -> bool:
        """Return whether this mail has started executions before."""
        found = await statements.find_mail_outcome(connection, **self.names, message_key=self.key)
        return found == "started"

    async def record(self, connection: Connection, taken: Taken) -> bool:
        """Record what becomes of the mail; return False when it has started executions before.

        Some records of long ago are deleted. Call it before any counter is locked: whoever takes the same
        mail at the same time waits here.
        """
        await statements.delete_old_mail(connection, organization_id=self.recipient.organization_id)
        recorded = await statements.record_mail(
            connection,
            **self.names,
            message_key=self.key,
            message_id=self.mail.message_id,
            origin=self.mail.origin,
            outcome=taken.outcome,
            executions=taken.executions,
            detail=taken.detail[:LONGEST_DETAIL] if taken.detail else None,
        )
        return recorded > 0


def key_of(mail: Mail, delivery: Delivery) -> str:
    """Return what tells a mail from others: its Message-ID, or else its bytes, which a sender repeats."""
    told = delivery.content if mail.message_id is None else mail.message_id.encode()
    return hashlib.sha256(told).hexdigest()


def refused(refusal: MailRefused) -> Taken:
    """Return what becomes of a mail that is refused."""
    return Taken("refused", detail=f"{refusal.code} {refusal.detail or refusal.message}")
