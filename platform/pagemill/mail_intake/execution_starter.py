"""Start of executions by mail: the documents are stored, then all that they start is committed at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from db.pool import Pool, acquire
from db.statements import Connection
from pagemill.documents.changes import DEFAULT_RETENTION_IN_DAYS, NewDocument, insert_document
from pagemill.documents.content import delete_on_failure, store_content
from pagemill.errors import BadRequest, LimitExceeded
from pagemill.ids import DocumentId, OrganizationId, PrincipalId, SecretId, new_id
from pagemill.mail_intake.addressed_mail import AddressedMail, Taken
from pagemill.mail_intake.credentials import find_starter
from pagemill.mail_intake.mail import Attachment, Mail
from pagemill.mail_intake.refusals import MailUnreadable, OverLimit
from pagemill.objects import ObjectStore
from pagemill.secret_box import SecretBox
from pagemill.usage.counting import count
from pagemill.workflows.origins import is_allowed
from pagemill.workflows.workflow_executions import Start, start_execution

PIECE_BYTES = 1024 * 1024


class TakenBefore(Exception):
    """A mail has started executions before; raised in a transaction, it rolls that back."""


class ExecutionStarter:
    """Starter of executions, for one mail and one workflow at a time.

    ``development_allowance`` is the number of executions a month of a workflow in development.
    """

    def __init__(
        self, pool: Pool, objects: ObjectStore, secret_box: SecretBox, *, development_allowance: int
    ) -> None:
        self._pool, self._objects, self._secret_box = pool, objects, secret_box
        self._development_allowance = development_allowance

    async def start(self, addressed: AddressedMail) -> Taken:
        """Start an execution for each document, or return that the mail is ignored, which is not recorded.

        Raises TakenBefore, MailRefused, Unavailable and database errors; then nothing is left.
        """
        mail, organization_id = addressed.mail, addressed.recipient.organization_id
        async with acquire(self._pool) as connection:
            config = await addressed.configuration(connection)
            if await addressed.has_started(connection):
                raise TakenBefore
        ignored = await asyncio.to_thread(_why_ignored, mail, config.get("allowedOrigins"))
        if ignored is not None:
            return Taken("ignored", detail=ignored)
        async with acquire(self._pool) as connection:
            secret_id = SecretId(config["secretId"])
            starter = await find_starter(connection, self._secret_box, organization_id, secret_id)
        taken = Taken("started", len(mail.documents), _left_out(mail.ignored))
        try:
            async with contextlib.AsyncExitStack() as stack:
                documents = [await self._store(stack, organization_id, one) for one in mail.documents]
                connection = await stack.enter_async_context(acquire(self._pool))
                await stack.enter_async_context(connection.transaction())
                await self._start_all(connection, addressed, taken, documents, starter, config)
        except LimitExceeded as error:
            raise OverLimit(error.detail or error.message) from None
        except BadRequest as error:
            raise MailUnreadable(error.message) from None
        return taken

    async def _store(
        self, stack: contextlib.AsyncExitStack, organization_id: OrganizationId, attachment: Attachment
    ) -> NewDocument:
        """Store a document, which is deleted when what the stack encloses fails."""
        document_id = new_id(DocumentId)
        source = _pieces(attachment.content)
        content = await store_content(
            self._objects, organization_id, document_id, source, member="attachment"
        )
        await stack.enter_async_context(delete_on_failure(self._objects, content.key))
        return NewDocument(
            id=document_id,
            dataset_id=None,
            consent_id=None,
            name=attachment.name,
            description=None,
            metadata=None,
            ground_truth=[],
            retention_in_days=DEFAULT_RETENTION_IN_DAYS,
            content=content,
        )

    async def _start_all(
        self,
        connection: Connection,
        addressed: AddressedMail,
        taken: Taken,
        documents: Iterable[NewDocument],
        starter: PrincipalId,
        config: dict[str, Any],
    ) -> None:
        organization_id = addressed.recipient.organization_id
        workflow = await addressed.keep_workflow(connection)
        if not await addressed.record(connection, taken):
            raise TakenBefore
        common = {**(config.get("additionalWorkflowInput") or {}), "email": _email_input(addressed.mail)}
        for document in documents:
            await insert_document(connection, organization_id, starter, document)
            await count(connection, organization_id, "documents")
            data = {**common, "documentId": document.id}
            await start_execution(
                connection,
                organization_id,
                workflow,
                Start(addressed.recipient.workflow_id, data, starter),
                development_allowance=self._development_allowance,
            )


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    """Yield bytes a piece at a time: others run between the hashes of two."""
    for position in range(0, len(content), PIECE_BYTES):
        yield content[position : position + PIECE_BYTES]
        await asyncio.sleep(0)


def _why_ignored(mail: Mail, allowed_origins: Sequence[str] | None) -> str | None:
    """Return why a mail starts nothing, None when it starts executions."""
    if not is_allowed(mail.origin, allowed_origins):
        return "the sender matches none of allowedOrigins"
    if not mail.documents:
        return "; ".join(filter(None, ("no PDF, JPEG, PNG or TIFF is attached", _left_out(mail.ignored))))
    return None


def _left_out(ignored: Sequence[str]) -> str | None:
    return f"attachments that are no documents: {', '.join(ignored)}" if ignored else None


def _email_input(mail: Mail) -> dict[str, Any]:
    email: dict[str, Any] = {"subject": mail.subject, "origin": mail.origin, "body": mail.body}
    if mail.authentication is not None:
        email["authentication"] = msgspec.to_builtins(mail.authentication)
    return email
