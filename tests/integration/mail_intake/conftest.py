"""The API, and the SMTP server beside it, on the same database and objects."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx
import msgspec
import pytest

from pagemill.mail_intake.server import mail_server
from pagemill.settings import Settings
from tests.integration.api.conftest import api, app, principal_id, routes, settings
from tests.support.flows import create_transition, create_workflow, ok, task
from tests.support.mails import ADA
from tests.support.tenants import Tenant

__all__ = ["api", "app", "principal_id", "routes", "settings"]


@dataclasses.dataclass(frozen=True)
class Mailbox:
    """A workflow with an address, and who may read its executions."""

    api: httpx.AsyncClient
    workflow_id: str
    address: str

    @property
    def path(self) -> str:
        return f"/v1/workflows/{self.workflow_id}"

    async def executions(self) -> list[dict[str, Any]]:
        found = await ok(await self.api.get(f"{self.path}/executions"))
        return list(found["executions"])

    async def inputs(self) -> list[dict[str, Any]]:
        return [execution["input"] for execution in await self.executions()]


async def create_mailbox(
    api: httpx.AsyncClient, tenant: Tenant, secret: dict[str, Any] | None = None, **config: Any
) -> Mailbox:
    """A workflow of one manual step that starts by mail."""
    credentials = {"clientId": tenant.client_id, "clientSecret": tenant.client_secret}
    answer = await ok(await api.post("/v1/secrets", json={"data": secret or credentials}))
    states = {"Review": task(await create_transition(api))}
    workflow_id = await create_workflow(api, states, emailConfig={"secretId": answer["secretId"], **config})
    workflow = await ok(await api.get(f"/v1/workflows/{workflow_id}"))
    return Mailbox(api, workflow_id, workflow["emailConfig"]["email"])


@pytest.fixture
async def mailbox(api: httpx.AsyncClient, organization: Tenant) -> Mailbox:
    return await create_mailbox(api, organization)


@asynccontextmanager
async def serving(
    settings: Settings, *, name_servers: Sequence[str] = (), **changes: Any
) -> AsyncIterator[int]:
    """The SMTP server with other settings; yields its port. It asks no name server unless told to."""
    changed = msgspec.structs.replace(settings, **{"mail_authentication": "off", **changes})
    async with mail_server(changed, name_servers=name_servers) as port:
        yield port


@pytest.fixture
async def smtp_port(settings: Settings, app: object) -> AsyncIterator[int]:
    """The port of a running SMTP server."""
    async with serving(settings) as port:
        yield port


async def send(port: int, content: bytes, *addresses: str, sender: str = ADA) -> str:
    """Hand a mail in, as a mail server does; return the reply, also that of a refusal."""
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=60) as client:
        try:
            _, reply = await client.sendmail(sender, list(addresses), content)
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            return f"{refused.code} {refused.message}"
        except aiosmtplib.SMTPResponseException as error:
            return f"{error.code} {error.message}"
        return f"250 {reply}" if not reply.startswith("250") else reply


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Files of a certificate, its key, and the authority that has issued it."""
    import datetime

    from pagemill.stack.certificates import Certificates

    certificates = Certificates(tmp_path)
    certificates.ensure(datetime.datetime.now(datetime.UTC))
    return certificates.certificate, certificates.key, certificates.authority
